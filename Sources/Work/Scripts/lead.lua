-- lead.lua: takes, keeps or gives up the leader's lock.
-- KEYS: none. ARGV: 1 what (campaign | renew | resign), 2 nonce (campaign) or fence (renew, resign), 3 time to live in ms.
-- Result: campaign: the new fence 'epoch:nonce', or '' where somebody leads; renew, resign: 1, or 0 where another leads.
-- Complexity: O(1).
local LEADER, VACANT = 'coordinator:leader', P .. 'leader:vacant'
if ARGV[1] == 'campaign' then
  -- Those who wait for a vacancy come here and take it, or find somebody who leads: either way there is none from now on.
  redis.call('DEL', VACANT)
  local left = redis.call('PTTL', LEADER)
  -- A lock that would last longer than any may: the server's clock was set back after it was taken.
  if left > tonumber(ARGV[3]) then redis.call('PEXPIRE', LEADER, ARGV[3]) end
  if left ~= -2 then return '' end
  local fence = redis.call('INCR', P .. 'epoch') .. ':' .. ARGV[2]
  redis.call('SET', LEADER, fence, 'PX', ARGV[3])
  return fence
end
if not is_leader(ARGV[2]) then return 0 end
if ARGV[1] == 'renew' then
  redis.call('PEXPIRE', LEADER, ARGV[3])
else
  redis.call('DEL', LEADER)
  redis.call('LPUSH', VACANT, ARGV[2])
end
return 1
