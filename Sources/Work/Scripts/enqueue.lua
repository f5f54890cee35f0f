-- enqueue.lua: the leader puts items at the tail of pools' lists, each once.
-- KEYS: none. ARGV: 1 fence ('epoch:nonce'), 2 how long an unfinished notification stays known in ms, then for each item:
--       pool, activation id, agent id, task type, raw bytes, next due time of the agent in ms (exploration; 0: leave it),
--       when the exploration was decided on in ms (0: unknown), how many notifications, their ids.
-- Result: 'fenced' (not the leader; nothing was changed), or for each item 'queued' | 'duplicate' (a notification or the agent's
--         exploration is known already, or it was to explore and is paused, or was active since that was decided on; nothing was
--         changed).
-- Complexity: O(items + notifications); callers send a hundred items at most.
local fence, keep = ARGV[1], ARGV[2]
if not is_leader(fence) then return 'fenced' end

local function enqueue(pool, id, agent, task, raw, due, decided, first, last)
  if redis.call('ZSCORE', LEASES, id) or redis.call('ZSCORE', DONE, id) then return 'duplicate' end
  for i = first, last do
    if redis.call('EXISTS', P .. 'notification:' .. ARGV[i]) == 1 then return 'duplicate' end
  end
  if task == 'exploration' then
    if is_paused(agent) then return 'duplicate' end
    if decided ~= '0' and tonumber(redis.call('HGET', P .. 'activated', agent) or '0') >= tonumber(decided) then
      return 'duplicate'
    end
    if not redis.call('SET', P .. 'exploration:' .. agent, id, 'NX', 'PX', keep) then return 'duplicate' end
    if due ~= '0' then redis.call('ZADD', STALE, due, agent) end
  end
  for i = first, last do
    redis.call('SET', P .. 'notification:' .. ARGV[i], 'waiting:' .. id, 'PX', keep)
  end
  redis.call('LPUSH', work_list(pool), raw)
  count('enqueued')
  return 'queued'
end

local outcomes, at = {}, 3
while at <= #ARGV do
  local pool, id, agent, task, raw, due, decided, notifications = unpack(ARGV, at, at + 7)
  local last = at + 7 + tonumber(notifications)
  outcomes[#outcomes + 1] = enqueue(pool, id, agent, task, raw, due, decided, at + 8, last)
  at = last + 1
end
return outcomes
