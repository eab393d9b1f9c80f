-- Pauses are set or lifted.
--
-- KEYS  1 paused
-- ARGV  1 "pause" or "resume"  2 the channel to wake hosts by  3… fields: "host:H", "pool:P", "host:H:pool:P"
-- Returns {"ok"} or {"wrong", sentence}.
--
-- Promises: all of the fields or none.
-- uses: values

local paused = KEYS[1]

--! libraries

local wrong = wrong_type({{paused, 'hash'}})
if wrong then return {'wrong', wrong} end

redis.call('PUBLISH', ARGV[2], ARGV[1]) -- first: who may not do this changes nothing
for i = 3, #ARGV do
  if ARGV[1] == 'pause' then
    redis.call('HSET', paused, ARGV[i], '1')
  else
    redis.call('HDEL', paused, ARGV[i])
  end
end
return {'ok'}
