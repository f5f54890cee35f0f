-- outbox_store.lua: keeps what the Hub is to be told, before it is told.
-- KEYS: none. ARGV: 1 entry, 2 activation id, 3 token of its lease, 4 how (leased: only while the lease holds, and the runner
--       delivers under it | free: a fact that holds whoever has the lease, left to whoever delivers), 5 agent, 6 post or '',
--       7 notification ids as a JSON array, 8.. state and bytes of each effect.
-- Result: 'stored', also for the same call again; 'stale': the lease is somebody else's, nothing is kept; 'earlier': another
--         holder of the lease stored first, and its words stand.
-- Complexity: O(log n + effects + notifications).
local entry, id, token, how, agent, post, notes = unpack(ARGV, 1, 7)
local key = outbox_key(entry)
if how == 'leased' and not holds(id, token) then return 'stale' end
if redis.call('EXISTS', key) == 1 then
  if how == 'free' or redis.call('HGET', key, 'token') == token then return 'stored' end
  return 'earlier'
end
local now = now_ms()
redis.call('HSET', key, 'activation', id, 'agent', agent, 'post', post, 'created', ms(now), 'tries', '0', 'reason', '',
  'token', token, 'notes', notes, 'n', (#ARGV - 7) / 2)
for i = 8, #ARGV, 2 do
  redis.call('HSET', key, 's' .. (i - 6) / 2, ARGV[i], 'e' .. (i - 6) / 2, ARGV[i + 1])
end
-- The Hub may call them unread for as long as it can't be reached: nobody answers them twice meanwhile.
note_entry(notes, id, 'done', KEEP_MS)
if how == 'free' then hand_over(entry, 0, now) end
return 'stored'
