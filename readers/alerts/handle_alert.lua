-- Keeps or takes back one word about an alert, and counts verdicts, in one step.
-- KEYS[1]: record ids in the log. KEYS[2]: what was said of this alert. KEYS[3]: mutes. From KEYS[4] on:
-- buckets in which a verdict counts. ARGV: record ids of the steps firing, resolved and expired; the part
-- (acknowledged, snoozed, feedback); the word as JSON, empty to take it back; now in ms; lifetime of
-- KEYS[2] in s; member of KEYS[3] and its end in ms; the field to count in; the lifetime of each bucket in s.
local steps = redis.call('HMGET', KEYS[1], ARGV[1], ARGV[2], ARGV[3])
if not (steps[1] or steps[2] or steps[3]) then
  return {'unknown'}
end
-- What is no word of ours is written over, as if nothing had been said.
local is_text = redis.call('TYPE', KEYS[2]).ok == 'string'
local kept = is_text and redis.call('GET', KEYS[2])
local is_sound, said = pcall(cjson.decode, kept or '{}')
if not is_sound or type(said) ~= 'table' then kept, said = false, {} end
for _, name in ipairs({'acknowledged', 'snoozed', 'feedback'}) do
  if said[name] ~= nil and type(said[name]) ~= 'table' then said[name] = nil end
end
local part = ARGV[4]
local old = said[part]
local new = ARGV[5] ~= '' and cjson.decode(ARGV[5]) or nil

if new and part ~= 'feedback' and (steps[2] or steps[3]) then
  if part == 'acknowledged' and old then
    return {'kept', kept} -- asked again by somebody who did not hear the answer
  end
  return {'ended'}
end

if part == 'acknowledged' then
  said[part] = new and (old or new)
elseif part == 'snoozed' then
  said[part] = new
  redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', ARGV[6])
  if new then
    redis.call('ZADD', KEYS[3], ARGV[9], ARGV[8])
  elseif old then
    redis.call('ZREM', KEYS[3], ARGV[8])
  end
elseif new and old and new.verdict == old.verdict then
  old.note = new.note -- counted already
else
  for _, bucket in ipairs(old and old.buckets or {}) do
    if redis.call('HEXISTS', bucket, old.field) == 1 then -- an expired bucket must not come back
      redis.call('HINCRBY', bucket, old.field, -1)
    end
  end
  if new then
    new.field, new.buckets = ARGV[10], {}
    for i = 4, #KEYS do
      new.buckets[i - 3] = KEYS[i]
      redis.call('HINCRBY', KEYS[i], ARGV[10], 1)
      redis.call('EXPIRE', KEYS[i], ARGV[7 + i])
    end
  end
  said[part] = new
end

if next(said) == nil then
  redis.call('DEL', KEYS[2])
  return {'kept', '{}'}
end
local text = cjson.encode(said)
redis.call('SET', KEYS[2], text, 'EX', ARGV[7])
return {'kept', text}
