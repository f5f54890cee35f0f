-- finish.lua: ends an activation for its runner.
-- KEYS: none. ARGV: 1 activation id, 2 token, 3 outcome (done | deliver | retry | defer | dead | release), 4 reason,
--       5 delay in ms (retry, defer, deliver),
--       6 greatest number of attempts.
-- Once its outbox is stored an activation is over for its agent: whatever the outcome, what was not delivered is left to whoever
-- delivers; 'done' says that all of it was, 'deliver' that it wasn't.
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
local stored = redis.call('EXISTS', outbox_key(id)) == 1
if outcome == 'done' or outcome == 'deliver' or stored then
  book_done(id, record, now)
  if stored and outcome == 'done' then
    forget_entry(id)
    count('delivered')
  elseif stored then
    hand_over(id, outcome == 'deliver' and tonumber(ARGV[5]) or 0, now)
  end
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
