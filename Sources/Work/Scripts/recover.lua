-- recover.lua: puts back what nobody works on any more. Anyone may run it at any time; a second run finds nothing to do.
-- An activation whose outbox is stored is not run again: it is done, and the outbox is left to whoever delivers.
-- Where the server's clock was set back, it sets what waits for a time back with it.
-- KEYS: none. ARGV: 1 greatest number of attempts, 2 limit of items for one run, 3 lease in ms.
-- Result: {expired leases put back, due retries put back, items that went to the dead letters}
-- Complexity: O(log n + notifications) for each item put back and each agent whose rest is over, and O(its parked items, at most
--             200); the same for ten parked items. O(n log n) of all that waits for a time, once after the clock was set back.
local POOLS = {'notification', 'exploration', 'hybrid'}
local now = now_ms()
local max_attempts, limit = tonumber(ARGV[1]), ARGV[2]
local requeued, retried, died = 0, 0, 0

-- The clock may be set back, also by a failover to a host whose clock is behind: then leases of the dead would last as much longer,
-- and retries and answers would wait. What lies further ahead than a lease that was renewed just now was written before, and keeps the rest
-- of its time; so does, wrongly, a longer wait that began in the second since: it is cut short.
local CLOCK, SLACK, NOTED_EVERY = P .. 'clock', 1000, 10000
local seen = tonumber(redis.call('GET', CLOCK) or '0')
if now < seen - SLACK then
  local function set_back(key)
    local ahead = redis.call('ZRANGEBYSCORE', key, ms(now + tonumber(ARGV[3]) + 60000), '+inf', 'WITHSCORES')
    for i = 1, #ahead, 2 do
      redis.call('ZADD', key, 'XX', ms(math.max(now, tonumber(ahead[i + 1]) - (seen - now))), ahead[i])
    end
  end
  local keys = {[LEASES] = true, [RETRIES] = true, [RESTING] = true, [PARKED] = true, [OUTBOX] = true, [RUNNERS] = true}
  for _, pool in ipairs(POOLS) do keys[P .. 'retries_in:' .. pool] = true end
  for _, id in ipairs(redis.call('ZRANGE', LEASES, 0, -1)) do
    local pool, runner = unpack(redis.call('HMGET', record_key(id), 'pool', 'runner'))
    keys[LEASES .. ':pool:' .. (pool or '')] = true
    keys[LEASES .. ':runner:' .. (runner or '')] = true
  end
  for key in pairs(keys) do set_back(key) end
  count('clock_set_back')
end
if now < seen - SLACK or now > seen + NOTED_EVERY then
  redis.call('SET', CLOCK, ms(now))
  -- Runners that were paused and haven't asked for a week: their ids don't come back.
  redis.call('ZREMRANGEBYSCORE', PAUSED_RUNNERS, '-inf', ms(now - DEAD_MS))
end

for _, id in ipairs(redis.call('ZRANGEBYSCORE', LEASES, '-inf', ms(now), 'LIMIT', 0, limit)) do
  local record = record_of(id)
  if not record.raw then
    -- Somebody removed the record by hand: whose it was is not known any more, and it must not count for anybody.
    redis.call('ZREM', LEASES, id)
    for _, pool in ipairs(POOLS) do redis.call('ZREM', LEASES .. ':pool:' .. pool, id) end
    for _, runner in ipairs(redis.call('ZRANGE', RUNNERS, 0, -1)) do redis.call('ZREM', LEASES .. ':runner:' .. runner, id) end
  elseif redis.call('EXISTS', outbox_key(id)) == 1 then
    -- It has said all that it has to say; the rest is delivery.
    conclude(id, record, true, now)
    hand_over(id, 0, now)
    requeued = requeued + 1
    count('expired')
  else
    local attempts = tonumber(record.attempt) + 1
    local reason = "the lease expired in attempt " .. attempts .. " of " .. max_attempts .. ": runner '" .. record.runner
      .. "' stopped or lost its connection"
    -- Not a failure of the agent's: its circuit breaker doesn't count it.
    end_lease(id, record, now)
    if try_again(id, record, reason, 0, max_attempts, now) == 'dead' then
      died = died + 1
    else
      requeued = requeued + 1
      count('expired')
    end
  end
end

for _, id in ipairs(redis.call('ZRANGEBYSCORE', RETRIES, '-inf', ms(now), 'LIMIT', 0, limit)) do
  if end_wait(id) then retried = retried + 1 end
end

-- Agents whose rest is over: one trial each, because an agent runs one activation at a time.
for _, agent in ipairs(redis.call('ZRANGEBYSCORE', RESTING, '-inf', ms(now), 'LIMIT', 0, limit)) do
  redis.call('ZREM', RESTING, agent)
  unpark_if_free(agent, now)
end

-- Parked work that nobody will bring back in line: what stood there before it was taken by a plain consumer. A few a time, elsewhere
-- each time.
local old = redis.call('ZCOUNT', PARKED, '-inf', ms(now - 60000))
if old > 0 then
  for _, id in ipairs(redis.call('ZRANGE', PARKED, now % old, now % old + 9)) do
    local agent = redis.call('HGET', record_key(id), 'agent')
    if not agent then
      redis.call('ZREM', PARKED, id)
    elseif redis.call('EXISTS', P .. 'unparked:' .. agent) == 0 then
      unpark_if_free(agent, now)
    end
  end
end

return {requeued, retried, died}
