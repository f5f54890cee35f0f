-- runner_beat.lua: a runner process says that it is there.
-- KEYS: none. ARGV: 1 runner id, 2 how long that holds in ms, 3 ms since it started, 4 state (serving | stopping), 5 pool,
--       6 slots, 7 host, 8 pid, 9 version.
-- Result: {1 where it was not known or had lapsed, else 0; runners that are there now, this one among them}
-- Complexity: O(log n); where it was not known, also for each lapsed one that is forgotten, of which there are at most 20.
local id, holds_ms = ARGV[1], tonumber(ARGV[2])
local key, now = runner_key(id), now_ms()
local until_ms = redis.call('ZSCORE', RUNNERS, id)
local first, last = unpack(redis.call('HMGET', key, 'started', 'seen'))
local started = steady(first, now - tonumber(ARGV[3]))
redis.call('HSET', key, 'state', ARGV[4], 'pool', ARGV[5], 'slots', ARGV[6], 'host', ARGV[7], 'pid', ARGV[8],
  'version', ARGV[9], 'started', ms(started), 'seen', ms(now))
redis.call('ZADD', RUNNERS, ms(now + holds_ms), id)
local is_new = not until_ms or tonumber(until_ms) <= now
-- Where no runner is left to tidy up, Redis does. Once a minute is enough.
if is_new or not last or math.floor(now / 60000) ~= math.floor(tonumber(last) / 60000) then
  for _, kept in ipairs({key, RUNNERS}) do redis.call('PEXPIRE', kept, holds_ms + LOST_MS + 60000) end
end
-- Names come with new runners: as many go then.
for _, old in ipairs(is_new and redis.call('ZRANGEBYSCORE', RUNNERS, '-inf', ms(now - LOST_MS), 'LIMIT', 0, 20) or {}) do
  redis.call('ZREM', RUNNERS, old)
  redis.call('DEL', runner_key(old))
end
return {is_new and 1 or 0, redis.call('ZCOUNT', RUNNERS, ms(now), '+inf')}
