-- A rollout is halted, or goes on.
--
-- KEYS  1 rollout:EPOCH
-- ARGV  1 "halt" or "resume"  2 the epoch  3 who says so  4 the channel to wake hosts by
-- Returns {"ok", {epoch, fields}}, or {"ok", false} when there is no such rollout, or {"wrong", sentence}.
--
-- Promises: only a running rollout is halted, only a halted one resumed; resumptions are counted, so that a failure
-- from before one does not halt it again.
-- uses: values

local key, verb, epoch = KEYS[1], ARGV[1], ARGV[2]

--! libraries

local wrong = wrong_type({{key, 'hash'}})
if wrong then return {'wrong', wrong} end

local state = redis.call('HGET', key, 'state')
if not state then return {'ok', false} end
redis.call('PUBLISH', ARGV[4], verb .. ' ' .. epoch) -- first: who may not do this changes nothing
if verb == 'halt' and state == 'running' then
  redis.call('HSET', key, 'state', 'halted', 'halted_by', ARGV[3])
elseif verb == 'resume' and state == 'halted' then
  redis.call('HSET', key, 'state', 'running')
  redis.call('HSET', key, 'resumes', integer((count_of(redis.call('HGET', key, 'resumes')) or 0) + 1))
  redis.call('HDEL', key, 'halted_by')
end
return {'ok', {epoch, redis.call('HGETALL', key)}}
