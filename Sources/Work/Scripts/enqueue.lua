-- enqueue.lua: the leader puts one item at the tail of a pool's list, once.
-- KEYS: none. ARGV: 1 fence ('epoch:nonce'), 2 pool, 3 activation id, 4 agent id, 5 task type, 6 raw bytes,
--       7 next due time of the agent in ms (exploration; 0: leave it), 8 how long an unfinished notification stays known in ms,
--       9 when the exploration was decided on in ms (0: unknown), 10.. notification ids.
-- Result: 'queued' | 'duplicate' (a notification or the agent's exploration is known already, or the agent was active since
--         the exploration was decided on) | 'fenced' (not the leader); except for 'queued' nothing was changed.
-- Complexity: O(notifications).
local fence, pool, id, agent, task, raw, due, keep, decided = unpack(ARGV, 1, 9)
if not is_leader(fence) then return 'fenced' end
if redis.call('ZSCORE', LEASES, id) or redis.call('ZSCORE', DONE, id) then return 'duplicate' end
for i = 10, #ARGV do
  if redis.call('EXISTS', P .. 'notification:' .. ARGV[i]) == 1 then return 'duplicate' end
end
if task == 'exploration' then
  if decided ~= '0' and tonumber(redis.call('HGET', P .. 'activated', agent) or '0') >= tonumber(decided) then
    return 'duplicate'
  end
  if not redis.call('SET', P .. 'exploration:' .. agent, id, 'NX', 'PX', keep) then return 'duplicate' end
  if due ~= '0' then redis.call('ZADD', P .. 'stale', due, agent) end
end
for i = 10, #ARGV do
  redis.call('SET', P .. 'notification:' .. ARGV[i], 'waiting:' .. id, 'PX', keep)
end
redis.call('LPUSH', work_list(pool), raw)
count('enqueued')
return 'queued'
