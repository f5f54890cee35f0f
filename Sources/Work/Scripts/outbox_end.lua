-- outbox_end.lua: ends a deliverer's turn.
-- KEYS: none. ARGV: 1 entry, 2 token, 3 outcome (delivered | later | refused), 4 delay in ms (later), 5 reason,
--       6 greatest age in ms, 7.. index (from 1) and state, alternating.
-- Result: 'delivered' | 'later' | 'dead' (refused, or too old to wait any longer: kept as a dead letter with its words) | 'stale'
-- Complexity: O(log n + states + notifications).
local entry, token, outcome, reason = ARGV[1], ARGV[2], ARGV[3], ARGV[5]
local key = outbox_key(entry)
if redis.call('HGET', key, 'token') ~= token then return 'stale' end
for i = 7, #ARGV, 2 do redis.call('HSET', key, 's' .. ARGV[i], ARGV[i + 1]) end
if outcome == 'delivered' then
  forget_entry(entry, 'done', KEEP_MS)
  count('delivered')
  return 'delivered'
end
local now = now_ms()
local letter = hash_of(key)
if outcome == 'later' then
  if now - tonumber(letter.created) < tonumber(ARGV[6]) then
    redis.call('HINCRBY', key, 'tries', 1)
    redis.call('HSET', key, 'reason', reason)
    hand_over(entry, tonumber(ARGV[4]), now)
    return 'later'
  end
  reason = 'not delivered in ' .. math.floor(tonumber(ARGV[6]) / 3600000) .. ' h; the last try: ' .. reason
end
-- The bytes that an operator sees first are those of the first effect that the Hub has not.
local raw = unsent(letter)
local dead = DEAD .. ':' .. entry
if redis.call('EXISTS', dead) == 0 then redis.call('LPUSH', DEAD, entry) end
redis.call('HSET', dead, 'outbox', '1', 'reason', reason, 'raw', raw, 'pool', '', 'attempt', letter.tries, 'time', ms(now))
for field, value in pairs(letter) do
  if field ~= 'token' and field ~= 'reason' and field ~= 'created' and field ~= 'tries' then
    redis.call('HSET', dead, field, value)
  end
end
-- Unread in the Hub: neither queued again by itself nor forgotten.
if raw == '' then forget_entry(entry, 'done', KEEP_MS) else forget_entry(entry, 'dead', DEAD_MS) end
count('refused')
return 'dead'
