-- outbox_claim.lua: gives a deliverer the entries that are due, under a short lease: its end is the entry's next due time.
-- KEYS: none. ARGV: 1 token, 2 lease in ms, 3 how many.
-- Result: {ms until the next entry is due or '', {entry, {field, value, …}}, …}
-- Complexity: O(log n) for each entry.
local now = now_ms()
local found = {}
local function until_next()
  local due = redis.call('ZRANGE', OUTBOX, 0, 0, 'WITHSCORES')[2]
  return due and math.max(0, tonumber(due) - now)
end
local left = until_next()
if left ~= 0 then return {left and ms(left) or ''} end
for _, entry in ipairs(redis.call('ZRANGEBYSCORE', OUTBOX, '-inf', ms(now), 'LIMIT', 0, ARGV[3])) do
  local key = outbox_key(entry)
  if redis.call('EXISTS', key) == 0 then
    redis.call('ZREM', OUTBOX, entry)
    redis.call('ZREM', OUTBOX_SINCE, entry)
  else
    redis.call('HSET', key, 'token', ARGV[1])
    redis.call('ZADD', OUTBOX, ms(now + tonumber(ARGV[2])), entry)
    found[#found + 1] = {entry, redis.call('HGETALL', key)}
  end
end
left = until_next()
return {left and ms(left) or '', unpack(found)}
