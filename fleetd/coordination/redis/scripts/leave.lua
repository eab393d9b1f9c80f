-- A member goes.
--
-- KEYS  1 members  2 roster  3 turns  4 member:HOST/INSTANCE
-- ARGV  1 HOST/INSTANCE  2 its id
-- Returns {"ok"} or {"wrong", sentence}.
--
-- Promises: its lease and its turn end at once; nothing is written where another daemon has the name.
-- uses: values

local members, roster, turns, document = KEYS[1], KEYS[2], KEYS[3], KEYS[4]

--! libraries

local wrong = wrong_type({{members, 'zset'}, {roster, 'hash'}, {turns, 'zset'}})
if wrong then return {'wrong', wrong} end

local entry = decoded(redis.call('HGET', roster, ARGV[1]))
if entry and entry.id == ARGV[2] then
  redis.call('ZREM', members, ARGV[1])
  redis.call('HDEL', roster, ARGV[1])
  redis.call('ZREM', turns, ARGV[1])
  redis.call('DEL', document)
end
return {'ok'}
