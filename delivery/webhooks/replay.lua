-- Asks for everything from a place in the log of alerts up to the endpoint's cursor to be sent again.
-- 1; 0: there is nothing before the cursor; -1: the endpoint is gone.
-- KEYS: progress, endpoints. ARGV: id of the endpoint, milliseconds and number of the place.
if redis.call('HEXISTS', KEYS[2], ARGV[1]) == 0 then
  return -1
end
local cursor = redis.call('HGET', KEYS[1], 'cursor') or '0-0'
local ms, number = cursor:match('(%d+)-(%d+)')
-- Doubles hold the milliseconds exactly; numbers within one are compared only there.
local from_ms, from_number = tonumber(ARGV[2]), tonumber(ARGV[3])
if from_ms > tonumber(ms) or (from_ms == tonumber(ms) and from_number >= tonumber(number)) then
  return 0
end
redis.call('HSET', KEYS[1], 'replay', ARGV[2] .. '-' .. ARGV[3], 'replay_until', cursor)
return 1
