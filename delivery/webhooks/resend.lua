-- Makes one delivery pending, due now. 1; 0: it has changed since it was read, try again; -1: it is unknown;
-- -2: too many wait already.
-- KEYS: pending, waiting, deliveries, log, finished. ARGV: id, the delivery as it was read and as it shall
-- be, now in ms, most that may wait.
local old = redis.call('HGET', KEYS[3], ARGV[1])
if not old then
  return -1
end
if redis.call('ZSCORE', KEYS[1], ARGV[1]) then
  redis.call('ZADD', KEYS[1], ARGV[4], ARGV[1]) -- it waits already: it need not wait for its turn
  return 1
end
if old ~= ARGV[2] then
  return 0
end
if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[5]) then
  return -2
end
redis.call('HSET', KEYS[3], ARGV[1], ARGV[3])
redis.call('ZADD', KEYS[1], ARGV[4], ARGV[1])
redis.call('ZADD', KEYS[2], ARGV[4], ARGV[1])
redis.call('ZREM', KEYS[5], ARGV[1])
return 1
