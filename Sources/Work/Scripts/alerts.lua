-- alerts.lua: notes what is wrong now, and says what of it is news: each beginning and each end once, whoever leads.
-- KEYS: none. ARGV: 1 fence, 2.. pairs: what is wrong ('kind:subject'), and for how long in ms until it is told.
-- Result: {'fenced'}, and nothing was changed; or {'OK', {what is to be told…}, {what was told and is over, its length in ms, …}}
-- Complexity: O(what is wrong + what was).
if not is_leader(ARGV[1]) then return {'fenced'} end
local ALERTS = P .. 'alerts'
local now = now_ms()
-- What is wrong → 'since', and ' told' behind it once it was.
local known = hash_of(ALERTS)
local function since_of(what)
  local since, told = string.match(known[what] or '', '^(%d+)( ?%a*)$')
  return tonumber(since or ''), told == ' told'
end
local wrong, begun, over = {}, {}, {}
for i = 2, #ARGV, 2 do
  local what = ARGV[i]
  local since, told = since_of(what)
  wrong[what] = true
  if not since then redis.call('HSET', ALERTS, what, ms(now)) end
  if not told and now - (since or now) >= tonumber(ARGV[i + 1]) then
    redis.call('HSET', ALERTS, what, ms(since or now) .. ' told')
    begun[#begun + 1] = what
  end
end
for what in pairs(known) do
  if not wrong[what] then
    local since, told = since_of(what)
    redis.call('HDEL', ALERTS, what)
    if told then
      over[#over + 1] = what
      over[#over + 1] = ms(math.max(0, now - since))
    end
  end
end
return {'OK', begun, over}
