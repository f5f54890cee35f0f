-- outbox_step.lua: notes how far delivery has come, and keeps a deliverer's lease for another while.
-- KEYS: none. ARGV: 1 entry, 2 token, 3 lease in ms, 4.. index (from 1) and state (ready | sending | sent | refused), alternating.
-- Result: 1; 0 where the token is stale: somebody else delivers now, or all is delivered.
-- Complexity: O(log n + states).
local key = outbox_key(ARGV[1])
if redis.call('HGET', key, 'token') ~= ARGV[2] then return 0 end
for i = 4, #ARGV, 2 do redis.call('HSET', key, 's' .. ARGV[i], ARGV[i + 1]) end
if redis.call('ZSCORE', OUTBOX, ARGV[1]) then
  redis.call('ZADD', OUTBOX, ms(now_ms() + tonumber(ARGV[3])), ARGV[1])
end
return 1
