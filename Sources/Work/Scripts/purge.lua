-- purge.lua: an operator throws work away. Its notifications are marked dead, so that they are not queued again by themselves.
-- KEYS: none. ARGV: 1 what (dead: by id | deadest: the oldest dead letters | list: the oldest items of a pool's list),
--       2 pool (list), 3 how many (deadest, list), 4.. ids (dead).
-- Result: how many were thrown away; less than asked for (deadest, list) means that no more are there.
-- Complexity: O(k × dead letters) for dead, O(k × notifications) else.
local purged = 0
local function forget_letter(id)
  for i, one in ipairs(whole(id, {merged = redis.call('HGET', DEAD .. ':' .. id, 'merged') or ''})) do
    if i > 1 then redis.call('DEL', record_key(one)) end
  end
  local gone = redis.call('DEL', DEAD .. ':' .. id)
  purged = purged + gone
  return gone
end
if ARGV[1] == 'dead' then
  for i = 4, #ARGV do
    if forget_letter(ARGV[i]) == 1 then redis.call('LREM', DEAD, 1, ARGV[i]) end
  end
elseif ARGV[1] == 'deadest' then
  for _ = 1, tonumber(ARGV[3]) do
    local id = redis.call('RPOP', DEAD)
    if not id then break end
    forget_letter(id)
  end
else
  for _ = 1, tonumber(ARGV[3]) do
    local raw = redis.call('RPOP', work_list(ARGV[2]))
    if not raw then break end
    local item = read_item(raw) or {}
    local id = item.activation_id or redis.call('RPOP', P .. 'adopted:' .. redis.sha1hex(raw)) or ''
    -- A copy of one that runs or waits elsewhere owns neither record nor marks.
    if id ~= '' then
      local state = redis.call('HGET', record_key(id), 'state')
      if not state or state == 'queued' then
        redis.call('DEL', record_key(id))
        for _, nid in ipairs(item.notification_ids or {}) do
          local key = P .. 'notification:' .. nid
          if redis.call('GET', key) == 'waiting:' .. id then redis.call('SET', key, 'dead:' .. id, 'PX', DEAD_MS) end
        end
        if item.agent_id and redis.call('GET', P .. 'exploration:' .. item.agent_id) == id then
          redis.call('DEL', P .. 'exploration:' .. item.agent_id)
        end
      end
    end
    purged = purged + 1
  end
end
if purged > 0 then count('purged', purged) end
return purged
