-- common.lua: what the work scripts share; put before each of them when they are loaded.
-- Keys are described in docs/queue.md. Time is the server's, in milliseconds since 1970.
local P = 'botburrow:'
local LEASES, DONE, RETRIES, DEAD = P .. 'leases', P .. 'done', P .. 'retries', P .. 'dead'
local BUSY, PARKED, COUNTS, BELL, WANTED = P .. 'busy', P .. 'parked', P .. 'counts', P .. 'bell', P .. 'bell:wanted'
local FAILURES, RESTING = P .. 'failures', P .. 'resting'
local KEEP_MS = 24 * 3600 * 1000        -- done ids and answered notifications
local DEAD_MS = 7 * 24 * 3600 * 1000    -- dead notifications, records of waiting items
local DONE_MAX, FAILURES_MAX = 100000, 100000
local MERGE_MAX, MERGE_LOOK = 50, 200   -- items of one activation; parked ones that are looked through for more of them
local REST_MAX_MS = 3600 * 1000
local HISTORY_MAX = 20                  -- attempts that are remembered
local OUTBOX, OUTBOX_SINCE = P .. 'outbox', P .. 'outbox:since'
local RUNNERS = P .. 'runners'
local LOST_MS = 10 * 60 * 1000          -- runners that lapsed are remembered
local STALE, STALE_PAUSED = P .. 'stale', P .. 'stale:paused'
local PAUSED_AGENTS, PAUSED_RUNNERS, RESUMED = P .. 'paused_agents', P .. 'paused_runners', P .. 'resumed'

local function now_ms()
  local t = redis.call('TIME')
  return tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
end
local function work_list(pool) return 'runner:' .. pool .. ':work' end
local function record_key(id) return P .. 'activation:' .. id end
local function runner_key(id) return P .. 'runner:' .. id end
local function count(what, by) redis.call('HINCRBY', COUNTS, what, by or 1) end
local function ms(number) return string.format('%.0f', number) end
-- Whether the whole system is paused, and by place in ARGV, from `first` on, which pools are.
local function pauses(first)
  local keys = {P .. 'pause'}
  for i = first, #ARGV do keys[#keys + 1] = P .. 'pause:' .. ARGV[i] end
  local marks, pools = redis.call('MGET', unpack(keys)), {}
  for i = first, #ARGV do pools[i] = marks[i - first + 2] ~= false end
  return marks[1] ~= false, pools
end

-- A moment that another's clock tells again and again, each time a little differently: as it was told first.
local function steady(before, moment)
  before = tonumber(before or '')
  return before and math.abs(before - moment) < 2000 and before or moment
end

-- A name that becomes part of keys and paths.
local function is_name(text)
  return #text >= 1 and #text <= 128 and text ~= '.' and text ~= '..' and not string.find(text, '[%c%s/]')
end

-- Reads an item as WorkItem.init(parsing:) does. Returns the table, or nil and the reason.
local function read_item(raw)
  local ok, item = pcall(cjson.decode, raw)
  if not ok then return nil, 'the work item is not JSON' end
  if type(item) ~= 'table' or not string.find(raw, '^[ \t\r\n]*{') then
    return nil, 'the work item is not a JSON object'
  end
  for key, value in pairs(item) do
    if value == cjson.null then item[key] = nil end
  end
  if item.agent_id == nil then return nil, "'agent_id' is missing" end
  for _, key in ipairs({'agent_id', 'activation_id'}) do
    local value = item[key]
    if value ~= nil then
      if type(value) ~= 'string' then return nil, "'" .. key .. "' is not a string" end
      if not is_name(value) then
        return nil, "'" .. key .. "' is not 1 to 128 characters without '/', spaces and control characters"
      end
    end
  end
  for _, key in ipairs({'agent_name', 'task_type', 'post_id', 'priority'}) do
    if item[key] ~= nil and type(item[key]) ~= 'string' then return nil, "'" .. key .. "' is not a string" end
  end
  if item.notification_ids ~= nil then
    local ids = item.notification_ids
    if type(ids) ~= 'table' then return nil, "'notification_ids' is not an array of strings" end
    local n = 0
    for key, value in pairs(ids) do
      n = n + 1
      if type(key) ~= 'number' or type(value) ~= 'string' then
        return nil, "'notification_ids' is not an array of strings"
      end
    end
  end
  local task = item.task_type
  if task ~= nil and task ~= 'notification' and task ~= 'exploration' and task ~= 'inbox' and task ~= 'discovery' then
    return nil, "'task_type' is '" .. task .. "'; known are notification, exploration, inbox and discovery"
  end
  local priority = item.priority
  if priority ~= nil and priority ~= 'high' and priority ~= 'normal' and priority ~= 'low' then
    return nil, "'priority' is '" .. priority .. "'; known are high, normal and low"
  end
  local attempt = item.attempt
  if attempt ~= nil and (type(attempt) ~= 'number' or attempt < 0 or attempt > 1000000 or attempt % 1 ~= 0) then
    return nil, "'attempt' is not a whole number from 0 to 1000000"
  end
  local created = item.created_at
  if created ~= nil and type(created) ~= 'number' and type(created) ~= 'string' then
    return nil, "'created_at' is neither seconds since 1970 nor an ISO 8601 time"
  end
  return item
end

local function notifications(raw)
  local item = read_item(raw)
  return item and item.notification_ids or {}
end

-- Remembers whose a notification is: '<state>:<activation id>', state waiting, done or dead.
local function note(raw, id, state, keep)
  for _, nid in ipairs(notifications(raw)) do
    redis.call('SET', P .. 'notification:' .. nid, state .. ':' .. id, 'PX', keep)
  end
end

-- Wakes one runner that found the system full.
local function ring()
  if redis.call('EXISTS', WANTED) == 1 and redis.call('LLEN', BELL) < 16 then
    redis.call('LPUSH', BELL, '1')
    redis.call('PEXPIRE', BELL, 30000)
  end
end

-- Puts raw bytes at the head of their list under an id that they may not carry themselves.
local function requeue(id, raw, pool)
  local item = read_item(raw)
  if not (item and item.activation_id) then
    local adopted = P .. 'adopted:' .. redis.sha1hex(raw)
    redis.call('LPUSH', adopted, id)
    redis.call('PEXPIRE', adopted, DEAD_MS)
  end
  redis.call('HSET', record_key(id), 'state', 'queued', 'pool', pool)
  redis.call('PEXPIRE', record_key(id), DEAD_MS)
  redis.call('RPUSH', work_list(pool), raw)
end

-- Puts items at the head of one list, the first of them foremost. Each is an item of its own there, for a plain consumer to take;
-- one of our claims takes those of one batch as one activation.
local function requeue_together(ids, pool)
  for i = #ids, 1, -1 do
    local key = record_key(ids[i])
    local raw = redis.call('HGET', key, 'raw')
    if raw then
      requeue(ids[i], raw, pool)
      redis.call('HDEL', key, 'merged')
      if #ids > 1 then redis.call('HSET', key, 'batch', ids[1]) else redis.call('HDEL', key, 'batch') end
    end
  end
end

-- An activation's id and those of the items that were merged into it.
local function whole(id, record)
  local ids = {id}
  for other in string.gmatch(record.merged or '', '%S+') do ids[#ids + 1] = other end
  return ids
end

-- Waits for its agent. Items of one group become one activation; those that ran together once stay together and by themselves,
-- because their activation may have said something already under its id.
local function park(id, item, pool, now)
  local key = record_key(id)
  local task = item.task_type or (pool == 'exploration' and 'exploration' or 'notification')
  local group = 'inbox'
  if task == 'exploration' or task == 'discovery' then group = 'exploration' end
  if item.post_id then group = 'post ' .. item.post_id end
  local kin = redis.call('HGET', key, 'kin')
  redis.call('HSET', key, 'state', 'parked', 'group', kin or group)
  redis.call('PERSIST', key)
  -- However long it waits, no second exploration of this agent is queued meanwhile.
  local exploration = P .. 'exploration:' .. item.agent_id
  if group == 'exploration' and redis.call('GET', exploration) == id then redis.call('PEXPIRE', exploration, DEAD_MS) end
  -- What ran before is the older work, and comes first.
  redis.call(kin and 'RPUSH' or 'LPUSH', P .. 'parked:' .. item.agent_id, id)
  redis.call('ZADD', PARKED, ms(now), id)
  redis.call('ZADD', P .. 'parked_in:' .. pool, ms(now), id)
end

-- Brings the oldest parked item of an agent back in line, with those of its group behind it.
local function unpark(agent)
  local key = P .. 'parked:' .. agent
  local ids = redis.call('LRANGE', key, -MERGE_LOOK, -1)
  local batch, batch_group, batch_pool = {}, nil, nil
  for i = #ids, 1, -1 do
    local group, pool = unpack(redis.call('HMGET', record_key(ids[i]), 'group', 'pool'))
    local joins = #batch == 0 or (group and group == batch_group and #batch < MERGE_MAX)
    if joins or not pool then
      redis.call('LREM', key, -1, ids[i])
      redis.call('ZREM', PARKED, ids[i])
      redis.call('ZREM', P .. 'parked_in:' .. (pool or ''), ids[i])
      if pool then
        if #batch == 0 then batch_group, batch_pool = group, pool end
        -- Under the id that they ran under.
        table.insert(batch, ids[i] == batch_group and 1 or #batch + 1, ids[i])
      end
    end
  end
  if #batch == 0 then return end
  requeue_together(batch, batch_pool)
  -- Until a claim finds them nothing newer of this agent is put before them.
  redis.call('SET', P .. 'unparked:' .. agent, '1', 'PX', 60000)
end

-- The circuit breaker: an agent that failed so often in a row rests, twice as long after each trial that fails too.
local function is_resting(agent, now)
  local rests_until = redis.call('ZSCORE', RESTING, agent)
  return rests_until and tonumber(rests_until) > now
end
local function agent_failed(agent, threshold, rest, now)
  local failures = tonumber(redis.call('ZINCRBY', FAILURES, 1, agent))
  redis.call('ZREMRANGEBYRANK', FAILURES, 0, -FAILURES_MAX - 1)
  if failures < threshold then return end
  redis.call('ZADD', RESTING, ms(now + math.min(rest * 2 ^ math.min(failures - threshold, 30), REST_MAX_MS)), agent)
  count('rested')
end
local function agent_succeeded(agent)
  if redis.call('ZREM', FAILURES, agent) == 1 then redis.call('ZREM', RESTING, agent) end
end

-- Whether an operator paused an agent.
local function is_paused(agent) return redis.call('ZSCORE', PAUSED_AGENTS, agent) end

-- A paused agent's place in the staleness schedule waits apart, where it is neither offered nor counted as overdue. It comes back
-- with the due time that it had.
local function move_due(agent, from, to)
  local due = redis.call('ZSCORE', from, agent)
  if not due then return end
  redis.call('ZREM', from, agent)
  redis.call('ZADD', to, 'LT', due, agent)
end

-- Whether an agent's work waits although the agent is not busy.
local function is_held(agent, now) return is_resting(agent, now) or is_paused(agent) end

-- Lets an agent's parked work go on, unless it is busy or held.
local function unpark_if_free(agent, now)
  local holder = redis.call('HGET', BUSY, agent)
  if holder and redis.call('ZSCORE', LEASES, holder) then return end
  if not is_held(agent, now) then unpark(agent) end
end

-- The history of an activation with one more attempt: lines 'claimed in ms, ended in ms, runner, reason' with tabs between.
local function history_with(record, reason, now)
  local line = table.concat({record.claimed or '', ms(now), record.runner or '', (string.gsub(reason, '%c', ' '))}, '\t')
  local lines = {}
  for old in string.gmatch(record.history or '', '[^\n]+') do lines[#lines + 1] = old end
  lines[#lines + 1] = line
  return table.concat(lines, '\n', math.max(1, #lines - HISTORY_MAX + 1))
end

-- Keeps bytes that nobody will run: a hash of its own, its id in the list. Of an activation that was made of several items,
-- the others' records stay as they are, and are found by 'merged'.
local function bury(id, raw, pool, agent, attempt, reason, now, record)
  local dead_id = id
  if dead_id == '' then
    dead_id = 'unreadable-' .. ms(now) .. '-' .. redis.sha1hex(raw)
    -- The same bytes more than once in one claim are as many letters.
    local first, copies = dead_id, 0
    while redis.call('EXISTS', DEAD .. ':' .. dead_id) == 1 do
      copies = copies + 1
      dead_id = first .. '-' .. copies
    end
  end
  if redis.call('EXISTS', DEAD .. ':' .. dead_id) == 0 then redis.call('LPUSH', DEAD, dead_id) end
  redis.call('HSET', DEAD .. ':' .. dead_id, 'reason', reason, 'raw', raw, 'pool', pool, 'agent', agent,
    'attempt', attempt, 'time', ms(now))
  if record then
    redis.call('HSET', DEAD .. ':' .. dead_id, 'history', record.history or '', 'merged', record.merged or '')
  end
  if id ~= '' then
    redis.call('DEL', record_key(id))
    note(raw, id, 'dead', DEAD_MS)
  end
  for i, other in ipairs(whole(id, record or {})) do
    if i > 1 then note(redis.call('HGET', record_key(other), 'raw') or '', other, 'dead', DEAD_MS) end
    -- Whatever the end, an exploration of this agent may be queued again.
    local exploration = P .. 'exploration:' .. agent
    if redis.call('GET', exploration) == other then redis.call('DEL', exploration) end
  end
  count('dead')
end

-- Frees the slots and the agent of an activation that is over, whose record has no token any more or is about to go: the agent's next
-- items are back in line.
local function free(id, record, now)
  redis.call('ZREM', LEASES, id)
  redis.call('ZREM', LEASES .. ':pool:' .. record.pool, id)
  redis.call('ZREM', LEASES .. ':runner:' .. record.runner, id)
  if redis.call('HGET', BUSY, record.agent) == id then
    redis.call('HDEL', BUSY, record.agent)
    if redis.call('EXISTS', P .. 'parked:' .. record.agent) == 1 and not is_held(record.agent, now) then
      unpark(record.agent)
    end
  end
  ring()
end

-- Ends the lease of an activation, whoever holds it: the same, and its record stays.
local function end_lease(id, record, now)
  redis.call('HDEL', record_key(id), 'token', 'step', 'step_since', 'active', 'tokens', 'calls', 'limit')
  free(id, record, now)
end

local function hash_of(key)
  local flat, fields = redis.call('HGETALL', key), {}
  for i = 1, #flat, 2 do fields[flat[i]] = flat[i + 1] end
  return fields
end
local function record_of(id) return hash_of(record_key(id)) end

-- Whether this token's lease on an activation is in force: a record has a token as long as it has a lease.
local function holds(id, token) return redis.call('HGET', record_key(id), 'token') == token end

-- Again, now or after delay ms; what was merged stays together.
local function put_off(id, record, reason, delay, now)
  redis.call('HSET', record_key(id), 'reason', reason)
  if delay > 0 then
    redis.call('HSET', record_key(id), 'state', 'retry')
    redis.call('ZADD', RETRIES, ms(now + delay), id)
    redis.call('ZADD', P .. 'retries_in:' .. record.pool, ms(now + delay), id)
  else
    requeue_together(whole(id, record), record.pool)
  end
  return 'again'
end

-- An activation is over: its id and those of what was merged into it are known for a day, and so are their notifications, which are
-- all its own from now on.
local function book_done(id, record, now)
  local exploration = P .. 'exploration:' .. record.agent
  for i, one in ipairs(whole(id, record)) do
    local raw = i == 1 and record.raw or redis.call('HGET', record_key(one), 'raw')
    redis.call('DEL', record_key(one))
    redis.call('ZADD', DONE, ms(now), one)
    if raw then note(raw, id, 'done', KEEP_MS) end
    if redis.call('GET', exploration) == one then redis.call('DEL', exploration) end
    count('done')
  end
  -- Now and then is enough.
  if now % 16 == 0 then
    redis.call('ZREMRANGEBYSCORE', DONE, '-inf', ms(now - KEEP_MS))
    redis.call('ZREMRANGEBYRANK', DONE, 0, -DONE_MAX - 1)
  end
  redis.call('HSET', P .. 'activated', record.agent, ms(now))
end

-- A retry whose time has come, or that is brought forward. False where there is none.
local function end_wait(id)
  if redis.call('ZREM', RETRIES, id) == 0 then return false end
  local record = record_of(id)
  redis.call('ZREM', P .. 'retries_in:' .. (record.pool or ''), id)
  if not record.raw then return false end
  requeue_together(whole(id, record), record.pool)
  return true
end

-- After a failed attempt: again (now or after delay ms), or dead after the last one.
local function try_again(id, record, reason, delay, max_attempts, now)
  local attempt = tonumber(record.attempt) + 1
  record.history = history_with(record, reason, now)
  if attempt >= max_attempts then
    bury(id, record.raw, record.pool, record.agent, tostring(attempt), reason, now, record)
    return 'dead'
  end
  for _, one in ipairs(whole(id, record)) do redis.call('HSET', record_key(one), 'attempt', tostring(attempt)) end
  redis.call('HSET', record_key(id), 'history', record.history)
  return put_off(id, record, reason, delay, now)
end

-- What the Hub is to be told: one hash an entry, 'e<i>' the effect's bytes and 's<i>' its state, for i from 1.
local function outbox_key(entry) return P .. 'outbox:entry:' .. entry end

-- What an agent says on a day (UTC, days since 1970): the answer of its activation, and what it made in the Hub by itself.
local function said_key(now) return P .. 'said:' .. ms(math.floor(now / 86400000)) end
local function count_said(agent, id, stored, now)
  local comments, posts = 0, 0
  local answered = stored and redis.call('HGET', outbox_key(id), 'post')
  if answered and answered ~= '' then comments = 1 end
  local made = redis.call('HVALS', P .. 'made:' .. id)
  for _, one in ipairs(made) do
    if string.find(one, '"kind":"post"', 1, true) then posts = posts + 1 else comments = comments + 1 end
  end
  if #made > 0 then redis.call('PEXPIRE', P .. 'made:' .. id, KEEP_MS) end
  local key = said_key(now)
  if comments > 0 then redis.call('HINCRBY', key, agent .. ' comments', comments) end
  if posts > 0 then redis.call('HINCRBY', key, agent .. ' posts', posts) end
  if comments + posts > 0 then redis.call('PEXPIRE', key, 2 * KEEP_MS) end
end

-- Ends the lease of an activation that has said all that it has to say. stored: whether the outbox has an entry of it.
local function conclude(id, record, stored, now)
  -- Before the lease ends, which brings the agent's next work in line.
  agent_succeeded(record.agent)
  free(id, record, now)
  count_said(record.agent, id, stored, now)
  book_done(id, record, now)
end

-- Marks the notifications of an entry; those of other activations are left alone. keep: ms, or nil: until it is marked again.
local function note_entry(notes, activation, state, keep)
  for _, nid in ipairs(cjson.decode(notes)) do
    local key = P .. 'notification:' .. nid
    local owner = redis.call('GET', key)
    if not owner or string.sub(owner, -#activation - 1) == ':' .. activation then
      redis.call('SET', key, state .. ':' .. activation)
      if keep then redis.call('PEXPIRE', key, keep) end
    end
  end
end

-- Leaves an entry to whoever delivers, from delay ms on. As long as it waits, the Hub may call its notifications unread: they stay known.
local function hand_over(entry, delay, now)
  local agent, post, created, notes, activation =
    unpack(redis.call('HMGET', outbox_key(entry), 'agent', 'post', 'created', 'notes', 'activation'))
  redis.call('HDEL', outbox_key(entry), 'token')
  redis.call('ZADD', OUTBOX, ms(now + delay), entry)
  -- The clock may have been set back since.
  redis.call('ZADD', OUTBOX_SINCE, ms(math.min(tonumber(created), now)), entry)
  note_entry(notes, activation, 'done')
  -- What an agent's next activation has to wait for: an answer that is not in its thread yet.
  if post ~= '' then redis.call('HSET', P .. 'outbox:agent:' .. agent, entry, post) end
end

-- Delivered, or a dead letter now: it waits no more.
local function forget_entry(entry, state, keep)
  local agent, notes, activation = unpack(redis.call('HMGET', outbox_key(entry), 'agent', 'notes', 'activation'))
  redis.call('DEL', outbox_key(entry))
  redis.call('ZREM', OUTBOX, entry)
  redis.call('ZREM', OUTBOX_SINCE, entry)
  if agent then
    redis.call('HDEL', P .. 'outbox:agent:' .. agent, entry)
    note_entry(notes, activation, state, keep)
  end
end

-- The first effect that the Hub has not, of a hash by fields; '' where it has all.
local function unsent(fields)
  for i = 1, tonumber(fields.n or '0') do
    if fields['s' .. i] ~= 'sent' then return fields['e' .. i] end
  end
  return ''
end

-- An entry as an operator sees it: raw, pool, agent, tries, runner, reason, time.
local function outbox_row(entry, due)
  local fields = hash_of(outbox_key(entry))
  return {unsent(fields), '', fields.agent or '', fields.tries or '0', '', fields.reason or '', due}
end

local function is_leader(fence) return redis.call('GET', 'coordinator:leader') == fence end
