-- Removes deliveries altogether.
-- KEYS: pending, waiting, deliveries, bodies, log, finished. ARGV: their ids.
for _, id in ipairs(ARGV) do
  redis.call('HDEL', KEYS[3], id)
  redis.call('HDEL', KEYS[4], id)
  for _, key in ipairs({KEYS[1], KEYS[2], KEYS[5], KEYS[6]}) do
    redis.call('ZREM', key, id)
  end
end
return #ARGV
