-- end_rest.lua: an operator closes an agent's circuit breaker: it rests no more, and its failures are forgotten.
-- KEYS: none. ARGV: 1 agent id.
-- Result: 1; 0 where it had no failures.
-- Complexity: O(log n), and O(its parked items, at most 200).
local agent = ARGV[1]
local failures = redis.call('ZREM', FAILURES, agent)
if redis.call('ZREM', RESTING, agent) == 1 then unpark_if_free(agent, now_ms()) end
return failures
