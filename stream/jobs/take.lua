-- Takes one subject from its queue for the time of a lease. KEYS: meta hash, queue.
-- ARGV: epoch, subject, ms at which it was seen to be due, ms at which the lease ends.
-- Answers 1, or 0 if the partition has another epoch or the subject is not due as it was.
if redis.call('HGET', KEYS[1], 'epoch') ~= ARGV[1] then return 0 end
if tonumber(redis.call('ZSCORE', KEYS[2], ARGV[2]) or '-1') ~= tonumber(ARGV[3]) then return 0 end
redis.call('ZADD', KEYS[2], ARGV[4], ARGV[2])
return 1
