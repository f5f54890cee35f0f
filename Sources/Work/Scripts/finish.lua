-- finish.lua: ends an activation for its runner.
-- KEYS: none. ARGV: 1 activation id, 2 token, 3 outcome (done | retry | defer | dead | release), 4 reason, 5 delay in ms
--       (retry, defer),
--       6 greatest number of attempts.
-- Result: 'done' | 'again' | 'dead'; 'stale' where the token is stale, and then nothing was changed. The same call again
--         (the reply was lost) gives the same result for a minute.
-- Complexity: O(log n + notifications of the item).
local id, token, outcome, reason = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local record = record_of(id)
local FINISHED = P .. 'finished:' .. token
if record.token ~= token or not redis.call('ZSCORE', LEASES, id) then
  return redis.call('GET', FINISHED) or 'stale'
end
local now = now_ms()
local result = 'done'
end_lease(id, record)
if outcome == 'done' then
  redis.call('DEL', record_key(id))
  redis.call('ZADD', DONE, ms(now), id)
  redis.call('ZREMRANGEBYSCORE', DONE, '-inf', ms(now - KEEP_MS))
  redis.call('ZREMRANGEBYRANK', DONE, 0, -DONE_MAX - 1)
  note(record.raw, id, 'done', KEEP_MS)
  redis.call('HSET', P .. 'activated', record.agent, ms(now))
  count('done')
elseif outcome == 'retry' then
  result = try_again(id, record, reason, tonumber(ARGV[5]), tonumber(ARGV[6]), now)
elseif outcome == 'defer' then
  result = put_off(id, record, reason, tonumber(ARGV[5]), now)
elseif outcome == 'release' then
  requeue(id, record.raw, record.pool)
  result = 'again'
else
  bury(id, record.raw, record.pool, record.agent, record.attempt, reason, now)
  result = 'dead'
end
if result ~= 'again' then
  -- Whatever the end, an exploration of this agent may be queued again.
  local exploration = P .. 'exploration:' .. record.agent
  if redis.call('GET', exploration) == id then redis.call('DEL', exploration) end
end
redis.call('SET', FINISHED, result, 'PX', 60000)
return result
