-- replay.lua: an operator has a dead letter tried again from its first attempt, or a retry that waits tried now.
-- A dead letter of the outbox is delivered again.
-- KEYS: none. ARGV: 1 id.
-- Result: 'queued' | 'unreadable' (it would be dead again at once) | 'known' (it runs, waits or is done already) | 'unknown';
--         except for 'queued' nothing was changed.
-- Complexity: O(dead letters + notifications).
local id = ARGV[1]
if end_wait(id) then return 'queued' end
if redis.call('HGET', DEAD .. ':' .. id, 'outbox') then
  -- What the Hub refused, with the same words: nobody runs for it.
  local letter, key, now = hash_of(DEAD .. ':' .. id), outbox_key(id), now_ms()
  for _, field in ipairs({'activation', 'agent', 'post', 'notes', 'n'}) do
    redis.call('HSET', key, field, letter[field])
  end
  redis.call('HSET', key, 'created', ms(now), 'tries', '0', 'reason', '')
  for i = 1, tonumber(letter.n) do
    local state = letter['s' .. i]
    if state == 'refused' then state = 'ready' end
    redis.call('HSET', key, 'e' .. i, letter['e' .. i], 's' .. i, state)
  end
  redis.call('LREM', DEAD, 1, id)
  redis.call('DEL', DEAD .. ':' .. id)
  hand_over(id, 0, now)
  count('replayed')
  return 'queued'
end
local raw, pool, merged, history = unpack(redis.call('HMGET', DEAD .. ':' .. id, 'raw', 'pool', 'merged', 'history'))
if not raw then
  if redis.call('EXISTS', record_key(id)) == 1 or redis.call('ZSCORE', DONE, id) then return 'known' end
  return 'unknown'
end
local item = read_item(raw)
if not item then return 'unreadable' end
if redis.call('EXISTS', record_key(id)) == 1 or redis.call('ZSCORE', DONE, id) then return 'known' end
redis.call('LREM', DEAD, 1, id)
redis.call('DEL', DEAD .. ':' .. id)
redis.call('HSET', record_key(id), 'raw', raw, 'pool', pool, 'agent', item.agent_id, 'kin', id)
if history and history ~= '' then redis.call('HSET', record_key(id), 'history', history) end
local ids = whole(id, {merged = merged or ''})
for _, one in ipairs(ids) do
  redis.call('HSET', record_key(one), 'attempt', '0')
  for _, nid in ipairs(notifications(redis.call('HGET', record_key(one), 'raw') or '')) do
    local key = P .. 'notification:' .. nid
    if redis.call('GET', key) == 'dead:' .. one then redis.call('SET', key, 'waiting:' .. one, 'PX', KEEP_MS) end
  end
end
requeue_together(ids, pool)
count('replayed')
return 'queued'
