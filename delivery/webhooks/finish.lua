-- Stores what an attempt came to. 1; 0: the delivery is gone; -1: another process delivers now.
-- KEYS: progress, pending, waiting, deliveries, bodies, log, finished. ARGV: fencing token, id, delivery, time of
-- the next attempt in ms or '' for none, health of the endpoint, finished deliveries to keep.
if redis.call('HGET', KEYS[1], 'fence') ~= ARGV[1] then
  return -1
end
redis.call('HSET', KEYS[1], 'health', ARGV[5])
if redis.call('HEXISTS', KEYS[4], ARGV[2]) == 0 then
  return 0
end
redis.call('HSET', KEYS[4], ARGV[2], ARGV[3])
if ARGV[4] ~= '' then
  redis.call('ZADD', KEYS[2], 'XX', ARGV[4], ARGV[2]) -- unless it was skipped meanwhile
  return 1
end
redis.call('ZREM', KEYS[2], ARGV[2])
redis.call('ZREM', KEYS[3], ARGV[2])
redis.call('ZADD', KEYS[7], redis.call('ZSCORE', KEYS[6], ARGV[2]), ARGV[2])
while redis.call('ZCARD', KEYS[7]) > tonumber(ARGV[6]) do
  local oldest = redis.call('ZPOPMIN', KEYS[7])[1]
  redis.call('HDEL', KEYS[4], oldest)
  redis.call('HDEL', KEYS[5], oldest)
  redis.call('ZREM', KEYS[6], oldest)
end
return 1
