-- The jobs of some minutes, as all members told them.
--
-- KEYS  1 rollouts: not used, but in a Cluster the script must know where to run
-- ARGV  the keys of the minutes
-- Returns {"ok", {fields and values of each, {} for one that there is not, or that is no hash}}
--
-- Promises: writes nothing.  The keys that it reads are not in KEYS, as in members.lua.
-- uses: values

--! libraries

local found = {}
for i = 1, #ARGV do
  local fields = redis.pcall('HGETALL', ARGV[i])
  found[i] = is_error(fields) and {} or fields
end
return {'ok', found}
