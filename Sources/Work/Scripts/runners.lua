-- runners.lua: runner processes that are there, and those that lapsed within the last ten minutes.
-- KEYS: none. ARGV: none.
-- Result: {now in ms, for each {id, state (serving | paused | stopping | lost), pool, slots, activations under its lease, host, pid,
--          version, started in ms, seen in ms}}
-- Complexity: O(log n + runners).
local now = now_ms()
local rows = {ms(now)}
local found = redis.call('ZRANGEBYSCORE', RUNNERS, ms(now - LOST_MS), '+inf', 'WITHSCORES')
for i = 1, #found, 2 do
  local id = found[i]
  local r = hash_of(runner_key(id))
  if r.seen then
    local state = r.state
    if state == 'serving' and redis.call('ZSCORE', PAUSED_RUNNERS, id) then state = 'paused' end
    if tonumber(found[i + 1]) <= now then state = 'lost' end
    rows[#rows + 1] = {
      id, state, r.pool, r.slots, redis.call('ZCARD', LEASES .. ':runner:' .. id),
      r.host, r.pid, r.version, r.started, r.seen,
    }
  end
end
return rows
