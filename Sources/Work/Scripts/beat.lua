-- beat.lua: keeps a lease for another while.
-- KEYS: none. ARGV: 1 activation id, 2 token, 3 lease in ms.
-- Result: 1; 0 where the token is stale: somebody else has the activation now, or it is over.
-- Complexity: O(log n).
local id = ARGV[1]
if not holds(id, ARGV[2]) then return 0 end
local pool, runner = unpack(redis.call('HMGET', record_key(id), 'pool', 'runner'))
local expiry = ms(now_ms() + tonumber(ARGV[3]))
redis.call('ZADD', LEASES, expiry, id)
redis.call('ZADD', LEASES .. ':pool:' .. pool, expiry, id)
redis.call('ZADD', LEASES .. ':runner:' .. runner, expiry, id)
return 1
