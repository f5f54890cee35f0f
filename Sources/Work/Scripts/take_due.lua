-- take_due.lua: the leader takes the agents that are overdue, oldest first; each is offered again after a hold, so that a
-- leader that dies between taking and queueing loses none.
-- KEYS: none. ARGV: 1 fence, 2 how many, 3 hold in ms.
-- Result: {'fenced'} | {'ok', now in ms, agents overdue in all, then for each: agent id, due time in ms,
--         time of its last activation in ms or ''}
-- Complexity: O(log n + k), and k ten times as many where agents are paused.
if not is_leader(ARGV[1]) then return {'fenced'} end
local now, wanted = now_ms(), tonumber(ARGV[2])
local reply = {'ok', ms(now), redis.call('ZCOUNT', STALE, '-inf', ms(now))}
-- A second look where the first met paused ones; no more than ten, others wait for this script.
local taken, rounds, again = {}, 0, wanted > 0
while again and rounds < 10 do
  rounds, again = rounds + 1, false
  local due = redis.call('ZRANGEBYSCORE', STALE, '-inf', ms(now), 'WITHSCORES', 'LIMIT', 0, wanted)
  for i = 1, #due, 2 do
    if is_paused(due[i]) then
      -- It was given a due time after it was paused.
      move_due(due[i], STALE, STALE_PAUSED)
      reply[3] = reply[3] - 1
      again = true
    elseif not taken[due[i]] then
      taken[due[i]] = true
      redis.call('ZADD', STALE, 'XX', ms(now + tonumber(ARGV[3])), due[i])
      reply[#reply + 1] = due[i]
      reply[#reply + 1] = due[i + 1]
      reply[#reply + 1] = redis.call('HGET', P .. 'activated', due[i]) or ''
    end
  end
  wanted = tonumber(ARGV[2]) - (#reply - 3) / 3
  again = again and wanted > 0
end
return reply
