-- upcoming.lua: the agents that the staleness schedule will give next. Changes nothing.
-- KEYS: none. ARGV: 1 how many, 2 how far ahead in ms.
-- Result: their ids, the most overdue first.
-- Complexity: O(log n + k).
return redis.call('ZRANGEBYSCORE', STALE, '-inf', ms(now_ms() + tonumber(ARGV[2])), 'LIMIT', 0, ARGV[1])
