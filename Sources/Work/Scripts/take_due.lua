-- take_due.lua: the leader takes the agents that are overdue, oldest first; each is offered again after a hold, so that a
-- leader that dies between taking and queueing loses none.
-- KEYS: none. ARGV: 1 fence, 2 how many, 3 hold in ms.
-- Result: {'fenced'} | {'ok', now in ms, agents overdue in all, then for each: agent id, due time in ms,
--         time of its last activation in ms or ''}
-- Complexity: O(log n + k).
if not is_leader(ARGV[1]) then return {'fenced'} end
local now = now_ms()
local STALE = P .. 'stale'
local reply = {'ok', ms(now), redis.call('ZCOUNT', STALE, '-inf', ms(now))}
if tonumber(ARGV[2]) < 1 then return reply end
local due = redis.call('ZRANGEBYSCORE', STALE, '-inf', ms(now), 'WITHSCORES', 'LIMIT', 0, ARGV[2])
for i = 1, #due, 2 do
  redis.call('ZADD', STALE, 'XX', ms(now + tonumber(ARGV[3])), due[i])
  reply[#reply + 1] = due[i]
  reply[#reply + 1] = due[i + 1]
  reply[#reply + 1] = redis.call('HGET', P .. 'activated', due[i]) or ''
end
return reply
