-- One commit of one partition: everything, or nothing.
-- KEYS[1]: meta hash. ARGV[1]: prefix of the partition's keys. ARGV[2]: msgpack map, see stream/state/commit.py.
-- Other keys are built from the prefix; they carry the hash tag of KEYS[1], so they are in its slot.
-- Answers {status, stored epoch} and, for a conflict, what it is. Everything that can fail is done before the
-- first write, since a script has no rollback; the offsets are written last.
local meta, prefix = KEYS[1], ARGV[1]
local c = cmsgpack.unpack(ARGV[2])
local call, format, min = redis.call, string.format, math.min
local CHUNK = 2000 -- arguments of one call; Lua's stack has room for 8,000
local LARGEST = 2 ^ 53 -- contracts.numbers.MAX_SUM_MINOR

local stored = call('HMGET', meta, 'epoch', unpack(c.topics))
local epoch = tonumber(stored[1] or '0')
if not epoch then return {'conflict', 0, meta .. ' has no number in epoch'} end
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

-- Preparation: keys are checked, sums computed, and the writes put down as functions.
local conflict
local writes, appends, types, added = {}, {}, {}, {}

local function later(write) writes[#writes + 1] = write end

-- The full key, which holds nothing or the type that is to be written.
local function holding(name, wanted)
  local key = prefix .. name
  local found = types[key]
  if not found then
    found = call('TYPE', key).ok
    types[key] = found
  end
  if found ~= 'none' and found ~= wanted then
    conflict = conflict or (key .. ' is a ' .. found .. ', not a ' .. wanted)
  end
  return key
end

-- Sums are computed from what is stored: a key that is added to twice would lose the first sum.
local function once(key)
  if added[key] then conflict = conflict or (key .. ' is added to twice in one commit') end
  added[key] = true
end

-- A call with all items of a list, in parts.
local function spread(command, key, items)
  for i = 1, #items, CHUNK do
    call(command, key, unpack(items, i, min(i + CHUNK - 1, #items)))
  end
end

local function expire(key, ttl_s)
  if ttl_s > 0 then call('EXPIRE', key, ttl_s) end
end

-- What is stored of some names, as numbers; two calls for many fields instead of one increment each.
local function known_numbers(command, key, names)
  local numbers = {}
  for i = 1, #names, CHUNK do
    local known = call(command, key, unpack(names, i, min(i + CHUNK - 1, #names)))
    for j = 1, #known do
      local number = tonumber(known[j] or 0)
      if not number then
        conflict = conflict or (key .. ' has no number in ' .. names[i + j - 1])
        number = 0
      end
      numbers[i + j - 1] = number
    end
  end
  return numbers
end

local prepare = {
  function(w) -- AddToHashes: {key, ttl_s, ...}, names, changes
    local names, changes = w[3], w[4]
    for k = 1, #w[2], 2 do
      local key, ttl_s = holding(w[2][k], 'hash'), w[2][k + 1]
      once(key)
      if not conflict and #names > 0 then
        local sums = known_numbers('HMGET', key, names)
        for i = #names, 1, -1 do -- Redis writes a number of Lua's with 17 digits, which is slower than `%d`
          local sum = format('%d', min(sums[i] + changes[i], LARGEST))
          sums[2 * i - 1], sums[2 * i] = names[i], sum
        end
        later(function()
          spread('HSET', key, sums)
          expire(key, ttl_s)
        end)
      end
    end
  end,
  function(w) -- SetInHash: key, {name, value, ...}, ttl_s
    local key = holding(w[2], 'hash')
    later(function() spread('HSET', key, w[3]) expire(key, w[4]) end)
  end,
  function(w) -- RemoveFromHash: key, names
    local key = holding(w[2], 'hash')
    later(function() spread('HDEL', key, w[3]) end)
  end,
  function(w) -- PutBlobs: keys, blobs, ttl_s
    local ttl_s = w[4] > 0 and format('%d', w[4])
    later(function()
      for i = 1, #w[2] do
        local key = prefix .. w[2][i]
        if ttl_s then call('SET', key, w[3][i], 'EX', ttl_s) else call('SET', key, w[3][i], 'KEEPTTL') end
      end
    end)
  end,
  function(w) -- DeleteKeys: keys
    later(function() for i = 1, #w[2] do call('DEL', prefix .. w[2][i]) end end)
  end,
  function(w) -- RaiseScores: key, members, changes, ttl_s, keep
    local key, members, changes, keep = holding(w[2], 'zset'), w[3], w[4], w[6]
    once(key)
    if conflict or #members == 0 then return end
    local sums = known_numbers('ZMSCORE', key, members)
    for i = #members, 1, -1 do
      sums[2 * i - 1], sums[2 * i] = sums[i] + changes[i], members[i]
    end
    later(function()
      spread('ZADD', key, sums)
      if keep > 0 then call('ZREMRANGEBYRANK', key, 0, -keep - 1) end
      expire(key, w[5])
    end)
  end,
  function(w) -- SetScores: key, {score, member, ...}, lowest, ttl_s
    local key = holding(w[2], 'zset')
    later(function()
      spread('ZADD', key, w[3])
      if w[4] > 0 then call('ZREMRANGEBYSCORE', key, '-inf', '(' .. w[4]) end
      expire(key, w[5])
    end)
  end,
  function(w) -- RemoveMembers: key, members
    local key = holding(w[2], 'zset')
    later(function() spread('ZREM', key, w[3]) end)
  end,
  function(w) -- AddToSet: key, members, ttl_s
    local key = holding(w[2], 'set')
    later(function() spread('SADD', key, w[3]) expire(key, w[4]) end)
  end,
  function(w) -- RemoveFromSet: key, members
    local key = holding(w[2], 'set')
    later(function() spread('SREM', key, w[3]) end)
  end,
  function(w) -- AppendToList: key, values, keep, ttl_s
    local key = holding(w[2], 'list')
    later(function()
      spread('RPUSH', key, w[3])
      if w[4] > 0 then call('LTRIM', key, -w[4], -1) end
      expire(key, w[5])
    end)
  end,
  function(w) -- AppendToStream: key, {{name, value, ...}, ...}, keep, ttl_s
    local key = holding(w[2], 'stream')
    for i = 1, #w[3] do appends[#appends + 1] = {key, w[3][i]} end
    later(function()
      if w[4] > 0 then call('XTRIM', key, 'MAXLEN', '~', w[4]) end
      expire(key, w[5])
    end)
  end,
  function(w) -- Expire: keys, ttl_s
    later(function() for i = 1, #w[2] do call('EXPIRE', prefix .. w[2][i], w[3]) end end)
  end,
  function(w) -- SetInHashes: keys, names, values, ttl_s
    local keys = w[2]
    for i = 1, #keys do keys[i] = holding(keys[i], 'hash') end
    later(function()
      for i = 1, #keys do
        call('HSET', keys[i], w[3][i], w[4][i])
        expire(keys[i], w[5])
      end
    end)
  end,
  function(w) -- KeepHighest: key, keep, start, most
    local key = holding(w[2], 'zset')
    later(function()
      local surplus = min(call('ZCARD', key) - w[3], w[5])
      if surplus <= 0 then return end
      for _, member in ipairs(call('ZRANGE', key, 0, surplus - 1)) do call('DEL', prefix .. w[4] .. member) end
      call('ZREMRANGEBYRANK', key, 0, surplus - 1)
    end)
  end,
}

for i = 1, #c.writes do prepare[c.writes[i][1]](c.writes[i]) end
if conflict then return {'conflict', epoch, conflict} end

-- A right that is missing would end the script half-way, so rights are looked at first: Redis 7 can be asked, before
-- that a command is tried where it changes nothing, or fails once the right is known. On the meta hash HSET fails for a
-- field without a value, SADD and RPUSH for its type.
local may = redis.acl_check_cmd
local none = prefix .. 'none'
local hset, expiry, zadd = {'HSET', meta, 'f', 'v', 'f'}, {'EXPIRE', none, '1'}, {'ZADD', none, 'XX', '1', 'm'}
local commands = { -- of each operation
  {hset}, {hset}, {{'HDEL', none, 'f'}}, {{'SET', none, 'v', 'XX'}}, {{'DEL', none}},
  {zadd, {'ZREMRANGEBYRANK', none, '0', '0'}}, {zadd, {'ZREMRANGEBYSCORE', none, '0', '0'}}, {{'ZREM', none, 'm'}},
  {{'SADD', meta, 'm'}}, {{'SREM', none, 'm'}}, {{'RPUSH', meta, 'v'}, {'LTRIM', none, '0', '0'}},
  {{'XADD', none, 'NOMKSTREAM', '*', 'f', 'v'}, {'XTRIM', none, 'MAXLEN', '1'}}, {expiry},
  {hset}, {{'ZCARD', none}, {'ZRANGE', none, '0', '0'}, {'ZREMRANGEBYRANK', none, '0', '0'}, {'DEL', none}},
}

local function is_forbidden(reply)
  return type(reply) == 'table' and reply.err and string.find(reply.err, "can't run", 1, true)
end

local function lacks(command)
  if may then return not may(unpack(command)) end
  return is_forbidden(redis.pcall(unpack(command)))
end

if not may then -- first one that a full Redis refuses: after any other write it would refuse nothing more
  local reply = redis.pcall('SET', none, 'v', 'XX')
  if type(reply) == 'table' and reply.err and not is_forbidden(reply) then return reply end
end
local used = {[1] = true, [13] = true} -- the offsets are in a hash, and most operations set lifetimes
for i = 1, #c.writes do used[c.writes[i][1]] = true end
for i in pairs(used) do
  for j = 1, #commands[i] do
    local command = commands[i][j]
    if lacks(command) then
      return redis.error_reply("NOPERM this user has no permissions to run the '" .. command[1] .. "' command")
    end
  end
end

-- Appending comes first, for it may fail: somebody may have used up the ids of a stream.
for i = 1, #appends do
  local key, fields = appends[i][1], appends[i][2]
  local reply = redis.pcall('XADD', key, '*', unpack(fields))
  if type(reply) == 'table' and reply.err then
    if string.find(reply.err, 'last possible ID', 1, true) then
      return {'conflict', epoch, key .. ' has an entry with the highest possible id'}
    end
    return reply
  end
end
for i = 1, #writes do writes[i]() end
call('HSET', meta, unpack(c.marks))
return {'applied', epoch}
