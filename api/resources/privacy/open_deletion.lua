-- Opens a deletion, or finds the one that was opened for the same before; its id, and 1 if it is new.
-- An empty id: the idempotency key was used for another visitor.
-- KEYS: deletions by digest, open deletions, the idempotency key's, the new deletion's.
-- ARGV: digest, new id, start of the keys of deletions, epoch ms until which the opener goes on with it,
-- seconds an idempotency key holds or '' for none given, then names and values of the new deletion's fields.
if ARGV[5] ~= '' then
  local id, digest = string.match(redis.call('GET', KEYS[3]) or '', '^(%S+) (%S+)$')
  if digest and digest ~= ARGV[1] then
    return {'', 0}
  end
  if id and redis.call('EXISTS', ARGV[3] .. id) == 1 then
    return {id, 0}
  end
end
local known = redis.call('HGET', KEYS[1], ARGV[1])
local is_new = not (known and redis.call('EXISTS', ARGV[3] .. known) == 1)
local id = is_new and ARGV[2] or known
if is_new then
  redis.call('HSET', KEYS[4], unpack(ARGV, 6))
  redis.call('HSET', KEYS[1], ARGV[1], id)
  redis.call('ZADD', KEYS[2], ARGV[4], id)
end
if ARGV[5] ~= '' then
  redis.call('SET', KEYS[3], id .. ' ' .. ARGV[1], 'EX', ARGV[5])
end
return {id, is_new and 1 or 0}
