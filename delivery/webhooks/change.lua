-- Replaces an endpoint that has not changed since it was read; 1, or 0 if it has.
-- KEYS: endpoints, progress, pending, waiting, log, finished. ARGV: id, its JSON as it was read ('' for none) and
-- as it shall be, most endpoints, what becomes of its queue ('keep', 'skip' or 'begin'), where it begins.
local old = redis.call('HGET', KEYS[1], ARGV[1])
if (old or '') ~= ARGV[2] then
  return 0
end
if not old and redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[4]) then
  return -1
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
if ARGV[5] == 'skip' then -- a delivery that neither waits nor ended was skipped
  for _, id in ipairs(redis.call('ZRANGE', KEYS[3], 0, -1)) do
    redis.call('ZADD', KEYS[6], redis.call('ZSCORE', KEYS[5], id), id)
  end
  redis.call('DEL', KEYS[3], KEYS[4])
  redis.call('HDEL', KEYS[2], 'replay', 'replay_until')
elseif ARGV[5] == 'begin' then
  redis.call('HSET', KEYS[2], 'cursor', ARGV[6])
  redis.call('HDEL', KEYS[2], 'health', 'replay', 'replay_until')
end
return 1
