-- finish.lua: ends an activation for its runner, with all items that were merged into it.
-- KEYS: none. ARGV: 1 activation id, 2 token, 3 outcome (done | deliver | retry | defer | dead | release), 4 reason,
--       5 delay in ms (retry, defer, deliver),
--       6 greatest number of attempts, 7 failures in a row after which an agent rests, 8 how long at first in ms.
-- Once its outbox is stored an activation is over for its agent: whatever the outcome, what was not delivered is left to whoever
-- delivers; 'done' says that all of it was, 'deliver' that it wasn't.
-- Result: 'done' | 'again' | 'dead'; 'stale' where the token is stale, and then nothing was changed. The same call again
--         (the reply was lost) gives the same result for a minute.
-- Complexity: O(log n + notifications) for each item of the activation, and O(parked items of the agent, at most 200).
local id, token, outcome, reason = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local FINISHED = P .. 'finished:' .. token
local record = record_of(id)
if record.token ~= token then return redis.call('GET', FINISHED) or 'stale' end
local now = now_ms()
local result = 'done'
local stored = redis.call('EXISTS', outbox_key(id)) == 1
local is_over = outcome == 'done' or outcome == 'deliver' or stored
if is_over then
  conclude(id, record, stored, now)
else
  -- Before the lease ends, which brings the agent's next work in line.
  if outcome == 'retry' or outcome == 'dead' then
    agent_failed(record.agent, tonumber(ARGV[7]), tonumber(ARGV[8]), now)
  end
  end_lease(id, record, now)
end
if is_over then
  if stored and outcome == 'done' then
    forget_entry(id, 'done', KEEP_MS)
    count('delivered')
  elseif stored then
    hand_over(id, outcome == 'deliver' and tonumber(ARGV[5]) or 0, now)
  end
elseif outcome == 'retry' then
  result = try_again(id, record, reason, tonumber(ARGV[5]), tonumber(ARGV[6]), now)
elseif outcome == 'defer' then
  result = put_off(id, record, reason, tonumber(ARGV[5]), now)
elseif outcome == 'release' then
  requeue_together(whole(id, record), record.pool)
  result = 'again'
else
  record.history = history_with(record, reason, now)
  bury(id, record.raw, record.pool, record.agent, record.attempt, reason, now, record)
  result = 'dead'
end
redis.call('SET', FINISHED, result, 'PX', 60000)
return result
