-- show.lua: all that is known of one activation by its id.
-- KEYS: none. ARGV: 1 id.
-- Result: {state, raw, pool, agent, attempt, runner, reason, time in ms or '', history, merged ids} with state leased, queued,
--         retry, parked, merged, outbox, dead or done; {} where nothing is known (it may wait in a list and was never claimed).
--         history: a line for each failed attempt, as in common.lua. merged ids: those that are done with it, with spaces
--         between; of one that is itself merged: the id of the activation that does it.
--         time is when it was claimed, buried or done, or its next attempt's or delivery's.
-- Complexity: O(log n).
local id = ARGV[1]
local r = record_of(id)
if r.state then
  local time = r.state == 'retry' and redis.call('ZSCORE', RETRIES, id) or r.claimed
  local merged = r.state == 'merged' and r.into or r.merged
  return {
    r.state, r.raw or '', r.pool or '', r.agent or '', r.attempt or '0', r.runner or '', r.reason or '', time or '',
    r.history or '', merged or '',
  }
end
local due = redis.call('ZSCORE', OUTBOX, id)
if due then
  local row = outbox_row(id, due)
  row[8], row[9] = '', ''
  return {'outbox', unpack(row)}
end
local d = redis.call('HMGET', DEAD .. ':' .. id, 'raw', 'pool', 'agent', 'attempt', 'reason', 'time', 'history', 'merged')
if d[1] then
  return {'dead', d[1], d[2] or '', d[3] or '', d[4] or '0', '', d[5] or '', d[6] or '', d[7] or '', d[8] or ''}
end
local done = redis.call('ZSCORE', DONE, id)
if done then return {'done', '', '', '', '0', '', '', done, '', ''} end
return {}
