-- status.lua: how much waits and runs.
-- KEYS: none. ARGV: 1 failures in a row after which an agent rests, 2.. pools.
-- Result: {leased, parked, retries due or waiting, dead letters, overdue agents, leader's fence or '',
--         {1 if paused, {paused agents, for the first 20: agent, since in ms}, {paused runners, for the first 20: runner, when it
--          was paused or asked last in ms}}, {for each pool: queued, leased, 1 if paused, parked, retries that are due}, {counter, value, …},
--         {entries of the outbox that wait, age of the oldest in ms},
--         {agents that rest, agents with so many failures that don't rest any more (one trial each),
--          for the first 20 that rest: agent, until in ms, failures}}
-- Complexity: O(log n).
local per_pool = {}
local now = ms(now_ms())
local is_paused_system, is_paused_pool = pauses(2)
local leased, parked, retries = redis.call('ZCARD', LEASES), redis.call('ZCARD', PARKED), redis.call('ZCARD', RETRIES)
for i = 2, #ARGV do
  local pool = ARGV[i]
  per_pool[#per_pool + 1] = redis.call('LLEN', work_list(pool))
  -- Where there is none at all, no pool is asked.
  per_pool[#per_pool + 1] = leased == 0 and 0 or redis.call('ZCARD', LEASES .. ':pool:' .. pool)
  per_pool[#per_pool + 1] = is_paused_pool[i] and 1 or 0
  per_pool[#per_pool + 1] = parked == 0 and 0 or redis.call('ZCARD', P .. 'parked_in:' .. pool)
  per_pool[#per_pool + 1] = retries == 0 and 0 or redis.call('ZCOUNT', P .. 'retries_in:' .. pool, '-inf', now)
end
local function paused(set)
  return {redis.call('ZCARD', set), unpack(redis.call('ZRANGE', set, 0, 19, 'WITHSCORES'))}
end
local resting = redis.call('ZCARD', RESTING)
local breakers = {resting, math.max(0, redis.call('ZCOUNT', FAILURES, ARGV[1], '+inf') - resting)}
local first = redis.call('ZRANGE', RESTING, 0, 19, 'WITHSCORES')
for i = 1, #first, 2 do
  breakers[#breakers + 1] = first[i]
  breakers[#breakers + 1] = first[i + 1]
  breakers[#breakers + 1] = redis.call('ZSCORE', FAILURES, first[i]) or '0'
end
local oldest = redis.call('ZRANGE', OUTBOX_SINCE, 0, 0, 'WITHSCORES')[2]
return {
  leased, parked, retries, redis.call('LLEN', DEAD),
  redis.call('ZCOUNT', STALE, '-inf', now), redis.call('GET', 'coordinator:leader') or '',
  {is_paused_system and 1 or 0, paused(PAUSED_AGENTS), paused(PAUSED_RUNNERS)}, per_pool,
  redis.call('HGETALL', COUNTS),
  {redis.call('ZCARD', OUTBOX), oldest and math.max(0, tonumber(now) - tonumber(oldest)) or 0}, breakers,
}
