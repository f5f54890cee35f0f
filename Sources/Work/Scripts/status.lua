-- status.lua: how much waits and runs.
-- KEYS: none. ARGV: pools.
-- Result: {leased, parked, retries due or waiting, dead letters, overdue agents, leader's fence or '', 1 if paused,
--         {for each pool: queued, leased, 1 if paused}, {counter, value, …},
--         {entries of the outbox that wait, age of the oldest in ms}}
-- Complexity: O(log n).
local per_pool = {}
for _, pool in ipairs(ARGV) do
  per_pool[#per_pool + 1] = redis.call('LLEN', work_list(pool))
  per_pool[#per_pool + 1] = redis.call('ZCARD', LEASES .. ':pool:' .. pool)
  per_pool[#per_pool + 1] = redis.call('EXISTS', P .. 'pause:' .. pool)
end
local oldest = redis.call('ZRANGE', OUTBOX_SINCE, 0, 0, 'WITHSCORES')[2]
return {
  redis.call('ZCARD', LEASES), redis.call('ZCARD', PARKED), redis.call('ZCARD', RETRIES), redis.call('LLEN', DEAD),
  redis.call('ZCOUNT', P .. 'stale', '-inf', ms(now_ms())), redis.call('GET', 'coordinator:leader') or '',
  redis.call('EXISTS', P .. 'pause'), per_pool, redis.call('HGETALL', COUNTS),
  {redis.call('ZCARD', OUTBOX), oldest and math.max(0, now_ms() - tonumber(oldest)) or 0},
}
