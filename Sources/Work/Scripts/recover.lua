-- recover.lua: puts back what nobody works on any more. Anyone may run it at any time; a second run finds nothing to do.
-- An activation whose outbox is stored is not run again: it is done, and the outbox is left to whoever delivers.
-- KEYS: none. ARGV: 1 greatest number of attempts, 2 limit of items for one run.
-- Result: {expired leases put back, due retries put back, items that went to the dead letters}
-- Complexity: O(log n) for each item put back.
local now = now_ms()
local max_attempts, limit = tonumber(ARGV[1]), ARGV[2]
local requeued, retried, died = 0, 0, 0

for _, id in ipairs(redis.call('ZRANGEBYSCORE', LEASES, '-inf', ms(now), 'LIMIT', 0, limit)) do
  local record = record_of(id)
  if not record.raw then
    redis.call('ZREM', LEASES, id)
  elseif redis.call('EXISTS', outbox_key(id)) == 1 then
    -- It has said all that it has to say; the rest is delivery.
    end_lease(id, record)
    book_done(id, record, now)
    hand_over(id, 0, now)
    local exploration = P .. 'exploration:' .. record.agent
    if redis.call('GET', exploration) == id then redis.call('DEL', exploration) end
    requeued = requeued + 1
    count('expired')
  else
    local attempts = tonumber(record.attempt) + 1
    local reason = "the lease expired in attempt " .. attempts .. " of " .. max_attempts .. ": runner '" .. record.runner
      .. "' stopped or lost its connection"
    end_lease(id, record)
    if try_again(id, record, reason, 0, max_attempts, now) == 'dead' then
      local exploration = P .. 'exploration:' .. record.agent
      if redis.call('GET', exploration) == id then redis.call('DEL', exploration) end
      died = died + 1
    else
      requeued = requeued + 1
      count('expired')
    end
  end
end

for _, id in ipairs(redis.call('ZRANGEBYSCORE', RETRIES, '-inf', ms(now), 'LIMIT', 0, limit)) do
  redis.call('ZREM', RETRIES, id)
  local raw, pool = unpack(redis.call('HMGET', record_key(id), 'raw', 'pool'))
  if raw then
    requeue(id, raw, pool)
    retried = retried + 1
  end
end
return {requeued, retried, died}
