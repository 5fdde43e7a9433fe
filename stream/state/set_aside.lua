-- Moves what could not be read under another key, unless something else lies there by now; 1 if it did.
-- KEYS: the key, where to, and the meta hash, which counts it. ARGV: what was read ('' for a key that holds another type than a string), its
-- lifetime there in s, and 1 if it was a string.
local found = redis.call('TYPE', KEYS[1]).ok
if found == 'none' or (found == 'string') ~= (ARGV[3] == '1') then return 0 end
if found == 'string' and redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('RENAME', KEYS[1], KEYS[2])
redis.call('EXPIRE', KEYS[2], ARGV[2])
redis.call('HINCRBY', KEYS[3], 'quarantined', 1)
return 1
