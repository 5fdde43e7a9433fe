-- Takes or keeps the lease of an endpoint; the fencing token and what the holder must know, or nothing.
-- KEYS: lease, progress, endpoints, waiting. ARGV: holder, ms until it expires, id of the endpoint.
if redis.call('HEXISTS', KEYS[3], ARGV[3]) == 0 then
  return {}
end
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then
  return {}
end
if not holder then
  redis.call('HINCRBY', KEYS[2], 'fence', 1)
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
local progress = redis.call('HMGET', KEYS[2], 'fence', 'cursor', 'replay', 'replay_until', 'health')
local oldest = redis.call('ZRANGE', KEYS[4], 0, 0, 'WITHSCORES')
progress[6] = oldest[2]
return progress
