-- One commit of one partition: everything, or nothing.
-- KEYS[1]: meta hash. ARGV[1]: prefix of the partition's keys. ARGV[2]: msgpack map, see stream/state/commit.py.
-- Other keys are built from the prefix; they carry the hash tag of KEYS[1], so they are on its node.
-- Answers {status, stored epoch}. All checks come before the first write: a script has no rollback.
local meta, prefix = KEYS[1], ARGV[1]
local c = cmsgpack.unpack(ARGV[2])
local call, format = redis.call, string.format
local CHUNK = 2000 -- arguments of one call; Lua's stack has room for 8,000
local LARGEST = 2 ^ 53 -- contracts.numbers.MAX_SUM_MINOR

-- Calls a variadic command with all items of a list, in parts.
local function spread(command, key, items)
  for i = 1, #items, CHUNK do
    call(command, key, unpack(items, i, math.min(i + CHUNK - 1, #items)))
  end
end

-- Adds to fields of a hash, with two calls for many fields instead of one HINCRBY each. Redis writes a number
-- of Lua's with 17 digits, which is slower than `%d`.
local function add(key, names, changes)
  for i = 1, #names, CHUNK / 2 do
    local known = call('HMGET', key, unpack(names, i, math.min(i + CHUNK / 2 - 1, #names)))
    local sums = {}
    for j = 1, #known do
      sums[2 * j - 1] = names[i + j - 1]
      sums[2 * j] = format('%d', math.min((known[j] or 0) + changes[i + j - 1], LARGEST))
    end
    call('HSET', key, unpack(sums))
  end
end

-- Adds to scores of a sorted set, with two calls for many members instead of one ZINCRBY each.
local function raise(key, members, changes)
  for i = 1, #members, CHUNK / 2 do
    local known = call('ZMSCORE', key, unpack(members, i, math.min(i + CHUNK / 2 - 1, #members)))
    local sums = {}
    for j = 1, #known do
      sums[2 * j - 1] = (known[j] or 0) + changes[i + j - 1]
      sums[2 * j] = members[i + j - 1]
    end
    call('ZADD', key, unpack(sums))
  end
end

local stored = call('HMGET', meta, 'epoch', unpack(c.topics))
local epoch = tonumber(stored[1] or '0')
if epoch > c.epoch then return {'fenced', epoch} end
if epoch < c.epoch then return {'behind', epoch} end

local matching, applied = 0, 0
for i = 1, #c.topics do
  local offset = tonumber(stored[i + 1] or '-1')
  if offset == c.starts[i] then matching = matching + 1 end
  if offset == c.ends[i] then applied = applied + 1 end
end
if matching < #c.topics then
  if applied == #c.topics then return {'repeated', epoch} end
  return {'gap', epoch}
end

call('HSET', meta, unpack(c.meta))
for i = 1, #c.counters, 2 do call('HINCRBY', meta, c.counters[i], c.counters[i + 1]) end

for i = 1, #c.removed do call('DEL', prefix .. 'v:' .. c.removed[i]) end
spread('ZREM', prefix .. 'active', c.removed)
spread('ZREM', prefix .. 'due', c.removed)
spread('HSET', prefix .. 'forgotten', c.forgotten)
spread('HDEL', prefix .. 'forgetting', c.found)
local visitor_ttl_s = format('%d', c.visitor_ttl_s)
for i = 1, #c.users do
  call('SET', prefix .. 'v:' .. c.users[i], c.states[i], 'EX', visitor_ttl_s)
end
for i = 1, #c.buckets, 3 do
  local keys = c.buckets[i]
  for k = 1, #keys, 2 do
    local key = prefix .. keys[k]
    add(key, c.buckets[i + 1], c.buckets[i + 2])
    call('EXPIRE', key, keys[k + 1])
  end
end
for i = 1, #c.trend, 4 do
  local key = prefix .. 't:' .. c.trend[i]
  raise(key, c.trend[i + 2], c.trend[i + 3])
  call('EXPIRE', key, c.trend[i + 1])
end
spread('ZADD', prefix .. 'active', c.active)
call('ZREMRANGEBYSCORE', prefix .. 'active', '-inf', '(' .. c.active_from_ms)
spread('ZADD', prefix .. 'due', c.due)
spread('ZREM', prefix .. 'due', c.not_due)
spread('SADD', prefix .. 'currencies', c.currencies)
for i = 1, #c.outbox, 4 do
  call('XADD', prefix .. 'outbox', '*', 'topic', c.outbox[i], 'key', c.outbox[i + 1],
    'id', c.outbox[i + 2], 'value', c.outbox[i + 3])
end
return {'applied', epoch}
