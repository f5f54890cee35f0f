-- unscheduled.lua: which of these agents the staleness schedule knows nothing of.
-- KEYS: none. ARGV: agent ids, at least one and at most some thousand.
-- Result: ids of those that have no due time, aren't noted as quiet until later than now, and aren't paused.
-- Complexity: O(1) for each agent.
local now = now_ms()
local due = redis.call('ZMSCORE', STALE, unpack(ARGV))
local quiet = redis.call('ZMSCORE', P .. 'quiet', unpack(ARGV))
local paused = redis.call('ZMSCORE', PAUSED_AGENTS, unpack(ARGV))
local new = {}
for i, id in ipairs(ARGV) do
  if not due[i] and not paused[i] and not (quiet[i] and tonumber(quiet[i]) > now) then new[#new + 1] = id end
end
return new
