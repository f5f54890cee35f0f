-- dead.lua: lists the newest dead letters.
-- KEYS: none. ARGV: 1 how many.
-- Result: for each {id, reason, raw, pool, agent, attempt, time in ms, history, merged ids} (see show.lua)
-- Complexity: O(k).
local letters = {}
if tonumber(ARGV[1]) < 1 then return letters end
for _, id in ipairs(redis.call('LRANGE', DEAD, 0, tonumber(ARGV[1]) - 1)) do
  local fields = redis.call('HMGET', DEAD .. ':' .. id, 'reason', 'raw', 'pool', 'agent', 'attempt', 'time', 'history', 'merged')
  for i = 1, 8 do fields[i] = fields[i] or '' end
  letters[#letters + 1] = {id, unpack(fields)}
end
return letters
