-- Runs every command that commits run, on a key of its own: Redis 6 has no way to ask for rights, and a script that
-- lacks one in the middle leaves half of its writes behind.
-- KEYS[1]: a key that nobody else uses. ARGV[1]: another, in the same slot.
local key, other = KEYS[1], ARGV[1]
local failed
-- Redis does not say which command it is that a script may not run.
local function call(command, ...)
  local reply = redis.pcall(command, ...)
  if type(reply) ~= 'table' or not reply.err then return reply end
  local text = reply.err
  if string.find(text, "can't run this command") then
    text = "NOPERM this user has no permissions to run the '" .. command .. "' command"
  end
  failed = failed or redis.error_reply(text)
  return nil
end
call('DEL', key, other)
call('HSET', key, 'f', '1') call('HMGET', key, 'f') call('HGETALL', key) call('HINCRBY', key, 'f', 1)
call('TYPE', key) call('EXPIRE', key, 1) call('RENAME', key, other) call('HDEL', other, 'f') call('DEL', other)
call('SET', key, 'v', 'EX', 1) call('GET', key) call('MGET', key) call('EXISTS', key) call('DEL', key)
call('ZADD', key, 1, 'm') call('ZMSCORE', key, 'm') call('ZSCORE', key, 'm') call('ZRANGE', key, 0, 0) call('ZCARD', key)
call('ZREMRANGEBYRANK', key, 5, 6) call('ZREMRANGEBYSCORE', key, 5, 6) call('ZREM', key, 'm') call('DEL', key)
call('SADD', key, 'm') call('SREM', key, 'm') call('RPUSH', key, 'v') call('LTRIM', key, 1, 0) call('DEL', key)
call('XADD', key, '*', 'f', 'v') call('XTRIM', key, 'MAXLEN', 1) call('XRANGE', key, '-', '+')
call('XLEN', key) call('XDEL', key, '0-1') call('DEL', key)
return failed or 1
