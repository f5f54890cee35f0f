-- outbox_begin.lua: what a runner must know before it runs an activation.
-- KEYS: none. ARGV: 1 activation id, 2 agent.
-- Result: {1 if its outbox is stored, entries that wait in all, {entry, post, …} of this agent's answers that wait,
--         {number, record, …} of what its agent made in the Hub by itself, in earlier runs of this activation}
-- Complexity: O(the agent's waiting answers + what it made).
return {
  redis.call('EXISTS', outbox_key(ARGV[1])), redis.call('ZCARD', OUTBOX),
  redis.call('HGETALL', P .. 'outbox:agent:' .. ARGV[2]), redis.call('HGETALL', P .. 'made:' .. ARGV[1]),
}
