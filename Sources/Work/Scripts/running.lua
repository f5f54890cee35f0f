-- running.lua: activations under a lease, with their live state as the last heartbeat told it.
-- KEYS: none. ARGV: 1 how many at most, 2.. ids; without ids all that run, the one whose lease ends first, first.
-- Result: {now in ms, for each {id, agent, task type, pool, runner, attempt, claimed in ms, lease's end in ms,
--          step, since when in ms, last activity in ms, tokens, model calls, time limit in ms}};
--          the last six are '' until a heartbeat told them, the time limit also where there is none.
-- Complexity: O(log n + k), and O(bytes of the item) for each.
local rows = {ms(now_ms())}
local function add(id, expiry)
  local r = expiry and record_of(id) or {}
  if not r.claimed then return end
  local item = read_item(r.raw) or {}
  local explores = item.task_type == 'exploration' or item.task_type == 'discovery'
    or (not item.task_type and r.pool == 'exploration')
  rows[#rows + 1] = {
    id, r.agent, explores and 'exploration' or 'notification', r.pool, r.runner, r.attempt, r.claimed, expiry,
    r.step or '', r.step_since or '', r.active or '', r.tokens or '', r.calls or '', r.limit or '',
  }
end
if #ARGV > 1 then
  for i = 2, #ARGV do add(ARGV[i], redis.call('ZSCORE', LEASES, ARGV[i])) end
  return rows
end
local found = redis.call('ZRANGE', LEASES, 0, tonumber(ARGV[1]) - 1, 'WITHSCORES')
for i = 1, #found, 2 do add(found[i], found[i + 1]) end
return rows
