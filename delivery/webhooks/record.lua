-- Logs a delivery that was made outside the queue: the test. 1, or 0 if its endpoint is gone.
-- KEYS: progress, deliveries, bodies, log, finished, endpoints. ARGV: id, delivery, body, deliveries to keep,
-- id of the endpoint.
if redis.call('HEXISTS', KEYS[6], ARGV[5]) == 0 then
  return 0
end
local seq = redis.call('HINCRBY', KEYS[1], 'seq', 1)
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
redis.call('HSET', KEYS[3], ARGV[1], ARGV[3])
redis.call('ZADD', KEYS[4], seq, ARGV[1])
redis.call('ZADD', KEYS[5], seq, ARGV[1])
while redis.call('ZCARD', KEYS[5]) > tonumber(ARGV[4]) do
  local oldest = redis.call('ZPOPMIN', KEYS[5])[1]
  redis.call('HDEL', KEYS[2], oldest)
  redis.call('HDEL', KEYS[3], oldest)
  redis.call('ZREM', KEYS[4], oldest)
end
return 1
