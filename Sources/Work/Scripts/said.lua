-- said.lua: what agents said today (UTC, by the server's clock), as far as their activations are over.
-- KEYS: none. ARGV: agent ids.
-- Result: for each two numbers: comments, posts
-- Complexity: O(1) for each agent.
local key = said_key(now_ms())
local said = {}
for _, agent in ipairs(ARGV) do
  local counts = redis.call('HMGET', key, agent .. ' comments', agent .. ' posts')
  said[#said + 1] = tonumber(counts[1] or '0')
  said[#said + 1] = tonumber(counts[2] or '0')
end
return said
