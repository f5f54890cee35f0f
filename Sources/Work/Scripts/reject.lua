-- reject.lua: takes one item that was merged into an activation out of it again, to the dead letters: its bytes can't be read.
-- KEYS: none. ARGV: 1 activation id, 2 token, 3 id of the merged item, 4 reason.
-- Result: 1; 0 where the token is stale or the item isn't part of the activation, and then nothing was changed.
-- Complexity: O(merged items + notifications of the item).
local id, other = ARGV[1], ARGV[3]
if not holds(id, ARGV[2]) then return 0 end
local record = record_of(id)
local left, found = {}, false
for i, one in ipairs(whole(id, record)) do
  if one == other and i > 1 then found = true elseif i > 1 then left[#left + 1] = one end
end
if not found then return 0 end
redis.call('HSET', record_key(id), 'merged', table.concat(left, ' '))
local item = record_of(other)
bury(other, item.raw, item.pool, item.agent, item.attempt, ARGV[4], now_ms(), item)
return 1
