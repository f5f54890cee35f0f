-- schedule.lua: the leader keeps the staleness schedule.
-- KEYS: none. ARGV: 1 fence, 2 what (add: only where the agent has no due time | set | remove | quiet: it doesn't explore,
--       look at it again at that time), 3.. agent id and time in ms, alternating (remove: time is ignored).
-- Result: how many agents changed; -1 where the fence is stale.
-- Complexity: O(log n) for each agent.
if not is_leader(ARGV[1]) then return -1 end
local changed = 0
if ARGV[2] == 'quiet' then redis.call('ZREMRANGEBYSCORE', P .. 'quiet', '-inf', ms(now_ms())) end
for i = 3, #ARGV, 2 do
  if ARGV[2] == 'remove' then
    changed = changed + redis.call('ZREM', STALE, ARGV[i])
  elseif ARGV[2] == 'quiet' then
    changed = changed + redis.call('ZADD', P .. 'quiet', 'CH', ARGV[i + 1], ARGV[i])
  elseif ARGV[2] == 'add' then
    changed = changed + redis.call('ZADD', STALE, 'NX', ARGV[i + 1], ARGV[i])
  else
    changed = changed + redis.call('ZADD', STALE, 'CH', ARGV[i + 1], ARGV[i])
  end
end
return changed
