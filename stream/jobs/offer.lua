-- Puts subjects into one queue. KEYS[1]: the queue. ARGV: due ms, most members, lifetime in s, then the subjects.
-- Answers how many members were dropped because the queue was full: those due last.
local queue, due_ms, most = KEYS[1], ARGV[1], tonumber(ARGV[2])
local CHUNK = 2000 -- subjects of one call; Lua's stack has room for 8,000 values
for i = 4, #ARGV, CHUNK do
  local members = {}
  for j = i, math.min(i + CHUNK - 1, #ARGV) do
    members[#members + 1] = due_ms
    members[#members + 1] = ARGV[j]
  end
  redis.call('ZADD', queue, 'LT', unpack(members))
end
redis.call('EXPIRE', queue, ARGV[3])
if redis.call('ZCARD', queue) <= most then return 0 end
return redis.call('ZREMRANGEBYRANK', queue, most, -1)
