-- invalidate.lua: tells every daemon that agents' definitions have changed.
-- KEYS: none. ARGV: 1 channel, 2 agent id, or '' for all.
-- Result: how many daemons heard it.
-- Complexity: O(daemons + log n); the set of all quiet agents is thrown away in the background.
-- Agents that didn't explore may do so now: the next census looks at them.
if ARGV[2] == '' then redis.call('UNLINK', P .. 'quiet') else redis.call('ZREM', P .. 'quiet', ARGV[2]) end
return redis.call('PUBLISH', ARGV[1], ARGV[2])
