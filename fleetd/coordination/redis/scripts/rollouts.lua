-- The rollouts that are kept, newest first, each with its hosts.
--
-- KEYS  1 rollouts
-- ARGV  1 the start of every rollout's key
-- Returns {"ok", {{epoch, fields}, …}} or {"wrong", sentence}.
--
-- Promises: writes nothing.  The rollouts' keys are not in KEYS: they have the same hash tag.
-- uses: values

local rollouts = KEYS[1]

--! libraries

local wrong = wrong_type({{rollouts, 'zset'}})
if wrong then return {'wrong', wrong} end

local found = {}
for _, epoch in ipairs(redis.call('ZREVRANGE', rollouts, 0, -1)) do
  local fields = redis.pcall('HGETALL', ARGV[1] .. epoch)
  if not fields.err then found[#found + 1] = {epoch, fields} end
end
return {'ok', found}
