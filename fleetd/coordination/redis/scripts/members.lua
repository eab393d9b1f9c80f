-- The members of the last day.
--
-- KEYS  1 rollouts: not used, but in a Cluster the script must know where to run
-- ARGV  1 the start of the keys of what members published  2 members  3 roster
-- Returns {"ok", clock, {{name, lease's end, roster text, published text}, …}} (false: there is none), or
--       {"wrong", sentence}.
--
-- Promises: writes nothing.  The keys that it reads are not in KEYS: what is there must be writable, and a requester may
-- not write these.  They have the same hash tag.
-- uses: values

local members, roster = ARGV[2], ARGV[3]

--! libraries

local wrong = wrong_type({{members, 'zset'}, {roster, 'hash'}})
if wrong then return {'wrong', wrong} end

local found = {}
local all = redis.call('ZRANGEBYSCORE', members, '(' .. seconds(now - DAY), '+inf', 'WITHSCORES')
for i = 1, #all, 2 do
  local document = redis.pcall('GET', ARGV[1] .. all[i])
  if type(document) == 'table' then document = false end
  found[#found + 1] = {all[i], all[i + 1], redis.call('HGET', roster, all[i]), document}
end
return {'ok', seconds(now), found}
