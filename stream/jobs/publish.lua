-- Writes one snapshot, its record for the outbox and its subject's place in the queue: all of it, or nothing.
-- KEYS: meta hash, queue, snapshot, digests of deleted visitors, outbox.
-- ARGV: epoch, made_ms, subject, end of the lease, when it is due next (0: not at all), digest of a person or '',
-- length of a header, blob ('': there is no value), lifetime in s, and, if there is a topic, topic, key, id and value.
-- Answers what became of it (stream.jobs.store.PublishStatus).
local meta, queue, snapshot, forgotten, outbox = unpack(KEYS)
local epoch, made_ms, subject = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3]
local call = redis.call

if tonumber(call('HGET', meta, 'epoch') or '0') ~= epoch then return 'fenced' end

-- The subject's place: as it is if it became due again since it was taken, which an offer makes sooner.
local function leave_queue(next_ms)
  local due_ms = call('ZSCORE', queue, subject)
  if not due_ms or tonumber(due_ms) ~= tonumber(ARGV[4]) then return end
  if next_ms == '0' then call('ZREM', queue, subject) else call('ZADD', queue, next_ms, subject) end
end

-- A deletion takes its subject out of the queue, also one that was taken from there and is being worked on.
if ARGV[6] ~= '' then
  local cut_ms = tonumber(call('HGET', forgotten, ARGV[6]) or '-1')
  if cut_ms >= made_ms or not call('ZSCORE', queue, subject) then
    call('ZREM', queue, subject)
    return 'forgotten'
  end
end

-- A snapshot of another epoch is of an earlier owner, or of a state that Redis has lost: ours is newer.
local held = call('TYPE', snapshot).ok
if held ~= 'string' and held ~= 'none' then call('DEL', snapshot) end
local stored = call('GETRANGE', snapshot, 0, tonumber(ARGV[7]) - 1)
if stored ~= '' then
  -- What is no snapshot is written over: there is nothing in it that the next run would not make anew.
  local is_sound, _, header = pcall(cmsgpack.unpack_one, stored)
  is_sound = is_sound and type(header) == 'table' and tonumber(header[2]) and tonumber(header[3])
  if is_sound and header[2] == epoch and header[3] > made_ms then
    leave_queue(ARGV[5])
    return 'older'
  end
end

if ARGV[8] ~= '' then call('SET', snapshot, ARGV[8], 'EX', ARGV[9]) else call('DEL', snapshot) end
if ARGV[10] and (ARGV[8] ~= '' or stored ~= '') then
  call('XADD', outbox, '*', 'topic', ARGV[10], 'key', ARGV[11], 'id', ARGV[12], 'value', ARGV[13])
end
leave_queue(ARGV[8] ~= '' and ARGV[5] or '0')
return 'published'
