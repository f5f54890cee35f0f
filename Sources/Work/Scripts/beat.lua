-- beat.lua: keeps a lease for another while, and notes how far its activation is.
-- KEYS: none. ARGV: 1 activation id, 2 token, 3 lease in ms; and where the runner tells of it: 4 step, 5 ms since that began,
--       6 ms since the last activity, 7 tokens, 8 model calls, 9 time limit in ms or ''.
-- Result: 1; 0 where the token is stale: somebody else has the activation now, or it is over.
-- Complexity: O(log n).
local id, now = ARGV[1], now_ms()
if not holds(id, ARGV[2]) then return 0 end
local key = record_key(id)
local pool, runner, step, since = unpack(redis.call('HMGET', key, 'pool', 'runner', 'step', 'step_since'))
local expiry = ms(now + tonumber(ARGV[3]))
redis.call('ZADD', LEASES, expiry, id)
redis.call('ZADD', LEASES .. ':pool:' .. pool, expiry, id)
redis.call('ZADD', LEASES .. ':runner:' .. runner, expiry, id)
if ARGV[4] then
  local began = steady(step == ARGV[4] and since, now - tonumber(ARGV[5]))
  redis.call('HSET', key, 'step', ARGV[4], 'step_since', ms(began), 'active', ms(now - tonumber(ARGV[6])),
    'tokens', ARGV[7], 'calls', ARGV[8], 'limit', ARGV[9])
end
return 1
