-- What is due in the queues of one partition. KEYS: the queues. ARGV: now in ms, most subjects of each queue.
-- Answers, per queue, how many subjects are due and the first of them with the times they were due at.
local heads = {}
for i = 1, #KEYS do
  heads[i] = {
    redis.call('ZCOUNT', KEYS[i], '-inf', ARGV[1]),
    redis.call('ZRANGEBYSCORE', KEYS[i], '-inf', ARGV[1], 'WITHSCORES', 'LIMIT', 0, ARGV[2]),
  }
end
return heads
