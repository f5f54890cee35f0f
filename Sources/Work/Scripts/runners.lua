-- runners.lua: runner processes that are there, and those that lapsed within the last ten minutes.
-- KEYS: none. ARGV: none.
-- Result: {now in ms, for each {id, state (serving | paused | stopping | lost), pool, slots, activations under its lease, host, pid,
--          version, started in ms, seen in ms}}
-- Complexity: O(log n + runners + paused ones).
local now = now_ms()
local rows = {ms(now)}
-- None is counted where nothing runs.
local is_idle = redis.call('ZCARD', LEASES) == 0
local found = redis.call('ZRANGEBYSCORE', RUNNERS, ms(now - LOST_MS), '+inf', 'WITHSCORES')
local rests = {}
for _, id in ipairs(redis.call('ZRANGE', PAUSED_RUNNERS, 0, -1)) do rests[id] = true end
for i = 1, #found, 2 do
  local id = found[i]
  local r = hash_of(runner_key(id))
  if r.seen then
    local state = r.state
    if state == 'serving' and rests[id] then state = 'paused' end
    if tonumber(found[i + 1]) <= now then state = 'lost' end
    rows[#rows + 1] = {
      id, state, r.pool, r.slots, is_idle and 0 or redis.call('ZCARD', LEASES .. ':runner:' .. id),
      r.host, r.pid, r.version, r.started, r.seen,
    }
  end
end
return rows
