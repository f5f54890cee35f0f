-- notification_states.lua: what is known of notifications; keeps those known that sit in the dead letters, or are parked
-- beside an agent that was paused for longer than they are remembered.
-- KEYS: none. ARGV: notification ids.
-- Result: for each '<waiting|done|dead>:<activation id>', or nil
-- Complexity: O(notifications).
local states = {}
for i, nid in ipairs(ARGV) do
  local key = P .. 'notification:' .. nid
  local state = redis.call('GET', key)
  if state and string.sub(state, 1, 5) == 'dead:' then redis.call('PEXPIRE', key, DEAD_MS) end
  if state and string.sub(state, 1, 8) == 'waiting:' and redis.call('PTTL', key) < KEEP_MS / 2
    and redis.call('HGET', record_key(string.sub(state, 9)), 'state') == 'parked' then
    redis.call('PEXPIRE', key, KEEP_MS)
  end
  states[i] = state
end
return states
