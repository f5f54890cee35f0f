-- runner_gone.lua: a runner process ends in order. What it ran is not looked at: that is its leases' affair.
-- KEYS: none. ARGV: 1 runner id.
-- Result: 1; 0 where it was not known.
-- Complexity: O(log n).
redis.call('DEL', runner_key(ARGV[1]))
return redis.call('ZREM', RUNNERS, ARGV[1])
