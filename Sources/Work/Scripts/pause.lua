-- pause.lua: an operator stops claims, or lets them go on.
-- KEYS: none. ARGV: 1 what (pause | resume), 2.. pools; '' is the whole system.
-- Result: how many flags changed.
-- Complexity: O(pools).
local changed = 0
for i = 2, #ARGV do
  local key = P .. 'pause'
  if ARGV[i] ~= '' then key = key .. ':' .. ARGV[i] end
  if ARGV[1] == 'resume' then
    changed = changed + redis.call('DEL', key)
  elseif redis.call('SET', key, ms(now_ms()), 'NX') then
    changed = changed + 1
  end
end
if ARGV[1] == 'resume' and changed > 0 then
  -- Runners that were refused wait for the bell.
  for _ = redis.call('LLEN', BELL) + 1, 16 do redis.call('LPUSH', BELL, '1') end
  redis.call('PEXPIRE', BELL, 30000)
end
return changed
