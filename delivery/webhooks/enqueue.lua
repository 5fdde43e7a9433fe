-- Moves a cursor on and enqueues what was found on the way, in one step.
-- The number that was enqueued; -1: another process delivers now; -2: the cursor was moved by somebody else.
-- KEYS: progress, pending, waiting, deliveries, bodies, log, finished. ARGV: fencing token, field of the cursor,
-- its old and new value, '1' to send again what was sent already, steps that were missed, now in ms,
-- then id, delivery and body of each.
local progress = redis.call('HMGET', KEYS[1], 'fence', ARGV[2])
if progress[1] ~= ARGV[1] then
  return -1
end
if progress[2] ~= ARGV[3] then
  return -2
end
local enqueued = 0
for i = 8, #ARGV, 3 do
  local id = ARGV[i]
  local known = redis.call('HEXISTS', KEYS[4], id) == 1
  if not known or ARGV[5] == '1' then
    redis.call('HSET', KEYS[4], id, ARGV[i + 1])
    redis.call('HSET', KEYS[5], id, ARGV[i + 2])
    redis.call('ZADD', KEYS[2], ARGV[7], id)
    redis.call('ZADD', KEYS[3], 'NX', ARGV[7], id)
    redis.call('ZREM', KEYS[7], id)
    if not known then
      redis.call('ZADD', KEYS[6], redis.call('HINCRBY', KEYS[1], 'seq', 1), id)
    end
    enqueued = enqueued + 1
  end
end
if ARGV[4] == '' then
  redis.call('HDEL', KEYS[1], ARGV[2], 'replay_until')
else
  redis.call('HSET', KEYS[1], ARGV[2], ARGV[4])
end
if ARGV[6] ~= '0' then
  redis.call('HINCRBY', KEYS[1], 'missed', ARGV[6])
  redis.call('HSET', KEYS[1], 'missed_ms', ARGV[7])
end
return enqueued
