-- claim.lua: gives a runner the next item it may run, under a lease.
-- KEYS: none (Redis Cluster is not supported; the keys follow from the items).
-- ARGV: 1 runner id, 2 runner's cap, 3 cap over all runners, 4 lease in ms, 5 token, 6 new activation id,
--       7.. pools in the order in which they are served.
-- Result: {'OK', id, pool, raw, attempt, agent, {id, raw, … of the items that were merged into it}}
--         | {'EMPTY'} | {'EMPTY', last resume, paused pools…} | {'FULL'} | {'PAUSED', last resume}; the last resume is an id
--         of the stream whose next entry says that the same claim may give something now.
-- Complexity: O(log n) for each item looked at, of which there are at most 100 in each pool's list and 49 merged ones.
local runner, runner_cap, global_cap = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local lease, token, seed = tonumber(ARGV[4]), ARGV[5], ARGV[6]
local now = now_ms()

local function last_resume()
  local last = redis.call('XREVRANGE', RESUMED, '+', '-', 'COUNT', 1)[1]
  return last and last[1] or '0-0'
end
-- It may have taken a ring of the bell, for a slot that others have a use for.
local function refuse()
  ring()
  return {'PAUSED', last_resume()}
end
if redis.call('ZSCORE', PAUSED_RUNNERS, runner) then
  -- Stays known as paused for as long as it asks.
  redis.call('ZADD', PAUSED_RUNNERS, 'XX', ms(now), runner)
  return refuse()
end
local is_paused_system, is_paused_pool = pauses(7)
if is_paused_system then return refuse() end
local pools, paused = {}, {}
for i = 7, #ARGV do
  local list = is_paused_pool[i] and paused or pools
  list[#list + 1] = ARGV[i]
end
if #pools == 0 then return refuse() end
if redis.call('ZCARD', LEASES) >= global_cap
  or redis.call('ZCARD', LEASES .. ':runner:' .. runner) >= runner_cap then
  redis.call('SET', WANTED, '1', 'PX', 30000)
  return {'FULL'}
end

-- Ids for items that carry none: the first is as given, the others are made of it (UUID version 8, RFC 9562).
local made = 0
local function new_id()
  made = made + 1
  if made == 1 then return seed end
  local h = redis.sha1hex(seed .. ':' .. made)
  return h:sub(1, 8) .. '-' .. h:sub(9, 12) .. '-8' .. h:sub(14, 16) .. '-a' .. h:sub(18, 20) .. '-' .. h:sub(21, 32)
end

-- The id of an item, and what is known of it (state, attempt, batch); nil where it is a copy of one that runs, waits or is done.
local function admit(item, raw)
  local id = item.activation_id or redis.call('RPOP', P .. 'adopted:' .. redis.sha1hex(raw)) or new_id()
  local known = redis.call('HMGET', record_key(id), 'state', 'attempt', 'batch')
  if item.activation_id then
    if known[1] and known[1] ~= 'queued' or redis.call('ZSCORE', DONE, id) then return nil end
  end
  return id, known
end

-- Takes the notifications that nobody owns; false where all belong to other activations.
local function own_notifications(item, id)
  local ids = item.notification_ids or {}
  local owned = 0
  for _, nid in ipairs(ids) do
    local key = P .. 'notification:' .. nid
    local owner = redis.call('GET', key)
    if not owner or owner == 'waiting:' .. id or owner == 'dead:' .. id then
      redis.call('SET', key, 'waiting:' .. id, 'PX', KEEP_MS)
      owned = owned + 1
    end
  end
  return owned > 0 or #ids == 0
end

-- Takes the items behind a claimed one that were put there to be done with it. The attempt is the highest of all: being merged
-- makes nothing live longer.
local function gather(pool, id, agent, attempt, batch)
  local found, ids = {}, {}
  if not batch then return found, attempt end
  while #ids < MERGE_MAX - 1 do
    local raw = redis.call('LINDEX', work_list(pool), -1)
    local item = raw and read_item(raw)
    if not item or item.agent_id ~= agent then break end
    local other = item.activation_id or redis.call('LINDEX', P .. 'adopted:' .. redis.sha1hex(raw), -1)
    if not other then break end
    local state, mark, tried = unpack(redis.call('HMGET', record_key(other), 'state', 'batch', 'attempt'))
    if state ~= 'queued' or mark ~= batch then break end
    redis.call('RPOP', work_list(pool))
    other = admit(item, raw)
    if not other or not own_notifications(item, other) then
      count('duplicate')
    else
      local key = record_key(other)
      redis.call('HSET', key, 'state', 'merged', 'into', id, 'kin', id)
      redis.call('HDEL', key, 'batch')
      redis.call('PERSIST', key)
      ids[#ids + 1] = other
      found[#found + 1] = other
      found[#found + 1] = raw
      if tonumber(tried or '0') > tonumber(attempt) then attempt = tried end
    end
  end
  if #ids > 0 then
    redis.call('HSET', record_key(id), 'merged', table.concat(ids, ' '))
    count('merged', #ids)
  end
  redis.call('HSET', record_key(id), 'attempt', attempt)
  redis.call('HDEL', record_key(id), 'batch')
  return found, attempt
end

-- Nobody starves where one runner serves several lists: a list that was passed over so often in a row while it had work is next.
local PASSED, TURN = P .. 'passed', 7
local function in_turn()
  if #pools < 2 then return pools end
  local longest, first = TURN - 1, nil
  local passed = redis.call('HMGET', PASSED, unpack(pools))
  for i, pool in ipairs(pools) do
    local times = tonumber(passed[i] or '0')
    if times > longest and redis.call('LLEN', work_list(pool)) > 0 then longest, first = times, pool end
  end
  if not first then return pools end
  local order = {first}
  for _, pool in ipairs(pools) do
    if pool ~= first then order[#order + 1] = pool end
  end
  return order
end
local function note_turn(served)
  if #pools < 2 then return end
  redis.call('HDEL', PASSED, served)
  for _, pool in ipairs(pools) do
    if pool ~= served and redis.call('LLEN', work_list(pool)) > 0 then redis.call('HINCRBY', PASSED, pool, 1) end
  end
end

for _, pool in ipairs(in_turn()) do
  for _ = 1, 100 do
    local raw = redis.call('RPOP', work_list(pool))
    if not raw then break end
    local item, reason = read_item(raw)
    if not item then
      bury('', raw, pool, '', '0', reason, now)
    else
      local id, known = admit(item, raw)
      if not id or not own_notifications(item, id) then
        count('duplicate')
      else
        local key = record_key(id)
        local attempt = known[2] or ms(item.attempt or 0)
        local holder = redis.call('HGET', BUSY, item.agent_id)
        if (holder and redis.call('ZSCORE', LEASES, holder)) or is_held(item.agent_id, now) then
          redis.call('HSET', key, 'raw', raw, 'pool', pool, 'agent', item.agent_id, 'attempt', attempt)
          park(id, item, pool, now)
        else
          redis.call('HSET', key, 'raw', raw, 'pool', pool, 'agent', item.agent_id, 'attempt', attempt,
            'state', 'leased', 'runner', runner, 'token', token, 'claimed', ms(now), 'kin', id)
          if known[1] then redis.call('PERSIST', key) end
          local expiry = ms(now + lease)
          redis.call('ZADD', LEASES, expiry, id)
          redis.call('ZADD', LEASES .. ':pool:' .. pool, expiry, id)
          redis.call('ZADD', LEASES .. ':runner:' .. runner, expiry, id)
          redis.call('HSET', BUSY, item.agent_id, id)
          local merged
          merged, attempt = gather(pool, id, item.agent_id, attempt, known[3])
          note_turn(pool)
          count('claimed')
          return {'OK', id, pool, raw, attempt, item.agent_id, merged}
        end
      end
    end
  end
end
-- A slot is free that this runner has no use for: let the next one look.
ring()
if #paused == 0 then return {'EMPTY'} end
return {'EMPTY', last_resume(), unpack(paused)}
