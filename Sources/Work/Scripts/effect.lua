-- effect.lua: the ledger of what an agent makes in the Hub by itself, so that a later run of its activation doesn't repeat it.
-- KEYS: none. ARGV: 1 what (begin | sending | made | free), 2 activation id, 3 token of its lease, 4 effect's number, 5 record,
--       6 how long it is kept in ms, 7 greatest number of effects.
-- Result: begin: {'new'}, and it is noted as sending | {'sending' | 'made', record} of an earlier call | {'stale'} | {'full'};
--         sending, made, free: {'ok'} | {'stale'} (sending only: what was made was made, whoever has the lease).
-- Complexity: O(log n).
local what, id, token, number, record = unpack(ARGV, 1, 5)
local key = P .. 'made:' .. id
local held = holds(id, token)
if what == 'free' then
  -- Another run may have begun meanwhile: then the number is its own.
  if held then redis.call('HDEL', key, number) end
  return {'ok'}
end
if what ~= 'made' and not held then return {'stale'} end
if what == 'begin' then
  local known = redis.call('HGET', key, number)
  if known then
    local colon = string.find(known, ':', 1, true)
    return {string.sub(known, 1, colon - 1), string.sub(known, colon + 1)}
  end
  if redis.call('HLEN', key) >= tonumber(ARGV[7]) then return {'full'} end
  redis.call('HSET', key, number, 'sending:' .. record)
  redis.call('PEXPIRE', key, ARGV[6])
  return {'new'}
end
redis.call('HSET', key, number, what .. ':' .. record)
redis.call('PEXPIRE', key, ARGV[6])
return {'ok'}
