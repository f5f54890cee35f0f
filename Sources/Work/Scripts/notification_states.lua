-- notification_states.lua: what is known of notifications; keeps those known that sit in the dead letters.
-- KEYS: none. ARGV: notification ids.
-- Result: for each '<waiting|done|dead>:<activation id>', or nil
-- Complexity: O(notifications).
local states = {}
for i, nid in ipairs(ARGV) do
  local key = P .. 'notification:' .. nid
  local state = redis.call('GET', key)
  if state and string.sub(state, 1, 5) == 'dead:' then redis.call('PEXPIRE', key, DEAD_MS) end
  states[i] = state
end
return states
