-- running_counts.lua: how many activations run.
-- KEYS: none. ARGV: 1 whose (pool: '' is the whole system | agent | runner), 2.. names.
-- Result: for each name a number.
-- Complexity: O(log n) for each.
local counts = {}
for i = 2, #ARGV do
  local name = ARGV[i]
  if ARGV[1] == 'agent' then
    local holder = redis.call('HGET', BUSY, name)
    counts[#counts + 1] = holder and redis.call('ZSCORE', LEASES, holder) and 1 or 0
  else
    counts[#counts + 1] = redis.call('ZCARD', LEASES .. (name == '' and '' or ':' .. ARGV[1] .. ':' .. name))
  end
end
return counts
