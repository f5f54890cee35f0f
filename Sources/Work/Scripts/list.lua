-- list.lua: items that wait or run, a part at a time.
-- KEYS: none. ARGV: 1 which (queued | leased | retry | parked | outbox), 2 pool (queued only), 3 first, 4 how many.
-- Result: for each {id or '', raw, pool, agent, attempt, runner, reason, time in ms or ''}; queued: the oldest first, time ''.
--         time is the lease's end (leased), the next attempt's (retry), the next delivery's (outbox),
--         or when it was parked (parked). Of the outbox: raw is what the Hub is to be told next, attempt counts its tries.
-- Complexity: O(log n + first + k).
local rows = {}
local first, last = tonumber(ARGV[3]), tonumber(ARGV[3]) + tonumber(ARGV[4]) - 1
if last < first then return rows end
if ARGV[1] == 'queued' then
  local raws = redis.call('LRANGE', work_list(ARGV[2]), -last - 1, -first - 1)
  for i = #raws, 1, -1 do
    local item = read_item(raws[i]) or {}
    local id = item.activation_id or ''
    local attempt, reason = false, false
    if id ~= '' then attempt, reason = unpack(redis.call('HMGET', record_key(id), 'attempt', 'reason')) end
    rows[#rows + 1] = {id, raws[i], ARGV[2], item.agent_id or '', attempt or ms(item.attempt or 0), '', reason or '', ''}
  end
  return rows
end
if ARGV[1] == 'outbox' then
  local found = redis.call('ZRANGE', OUTBOX, first, last, 'WITHSCORES')
  for i = 1, #found, 2 do rows[#rows + 1] = {found[i], unpack(outbox_row(found[i], found[i + 1]))} end
  return rows
end
local sets = {leased = LEASES, retry = RETRIES, parked = PARKED}
local found = redis.call('ZRANGE', sets[ARGV[1]], first, last, 'WITHSCORES')
for i = 1, #found, 2 do
  local r = record_of(found[i])
  local runner = ARGV[1] == 'leased' and r.runner or ''
  rows[#rows + 1] = {
    found[i], r.raw or '', r.pool or '', r.agent or '', r.attempt or '0', runner, r.reason or '', found[i + 1],
  }
end
return rows
