-- pause.lua: an operator stops claims, or lets them go on.
-- KEYS: none. ARGV: 1 what (pause | resume), 2 whose (pool: '' is the whole system | agent | runner), 3.. names. 'resume' of
--       agents or runners without names: of those that are paused, the first 100.
-- Result: the names of those that this changed.
-- Complexity: O(log n) for each, and for an agent that goes on O(its parked items, at most 200).
local what, whose, now = ARGV[1], ARGV[2], now_ms()
local set = whose == 'agent' and PAUSED_AGENTS or PAUSED_RUNNERS

local function pause(name)
  if whose == 'pool' then
    return redis.call('SET', P .. 'pause' .. (name == '' and '' or ':' .. name), ms(now), 'NX')
  end
  if redis.call('ZADD', set, 'NX', ms(now), name) == 0 then return false end
  if whose == 'agent' then move_due(name, STALE, STALE_PAUSED) end
  return true
end
local function resume(name)
  if whose == 'pool' then return redis.call('DEL', P .. 'pause' .. (name == '' and '' or ':' .. name)) == 1 end
  if redis.call('ZREM', set, name) == 0 then return false end
  if whose == 'agent' then
    move_due(name, STALE_PAUSED, STALE)
    unpark_if_free(name, now)
  end
  return true
end

local names, changed = {}, {}
for i = 3, #ARGV do names[#names + 1] = ARGV[i] end
if what == 'resume' and whose ~= 'pool' and #names == 0 then names = redis.call('ZRANGE', set, 0, 99) end
for _, name in ipairs(names) do
  local did
  if what == 'resume' then did = resume(name) else did = pause(name) end
  if did then changed[#changed + 1] = name end
end
-- Wakes every runner that was refused. An agent's work is pushed, which wakes as it does.
if what == 'resume' and whose ~= 'agent' and #changed > 0 then
  redis.call('XADD', RESUMED, 'MAXLEN', 1, '*', 'at', ms(now))
end
return changed
