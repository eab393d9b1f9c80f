-- The members of the last day.
--
-- KEYS  1 members  2 roster
-- ARGV  1 the start of the keys of what members published
-- Returns {"ok", clock, {{name, lease's end, roster text, published text}, …}} (false: there is none), or
--       {"wrong", sentence}.
--
-- Promises: writes nothing.  The documents' keys are not in KEYS: they have the same hash tag.
-- uses: values

local members, roster = KEYS[1], KEYS[2]

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
