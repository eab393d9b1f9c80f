-- A requester looks at its rollout, and holds on to it: what was lost is set again.
--
-- KEYS  1 rollouts  2 rollouts:open  3 restart-epoch:last  4 rollout:EPOCH  5… the epoch keys of its scope
-- ARGV  1 the start of every rollout's key  2 the epoch  3 the rollout as JSON: fields (name, value, name, …), hosts
--       (member, text, member, …; null: not told), max_parallel_hosts, asked_max_parallel_hosts (text or null)
-- Returns {"ok", {epoch, fields}}, or {"ok", false} where it was lost and no hosts are told, or {"wrong", sentence}.
--
-- Promises: epochs only grow, but what is no sane epoch gives way; what the hash has is not touched, but for how
-- many hosts at once where a report began it.
-- uses: values epochs rollout

local rollouts, open, last, key = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local ROLLOUT, epoch = ARGV[1], ARGV[2]
local known = cjson.decode(ARGV[3])

--! libraries

local wrong = wrong_type({{rollouts, 'zset'}, {open, 'set'}, {key, 'hash'}})
if wrong then return {'wrong', wrong} end

for i = 5, #KEYS do force(KEYS[i], epoch) end
force(last, epoch)

local state, hosts = state_of(key), given(known.hosts)
if not state then
  if not hosts then return {'ok', false} end
  redis.call('DEL', key)
  for i = 1, #known.fields, 2 do redis.call('HSET', key, known.fields[i], known.fields[i + 1]) end
  redis.call('HSET', key, 'remaining', '0')
  state = state_of(key)
  list(epoch, state)
  if not state_of(key) then return {'wrong', 'rollout ' .. epoch .. ' is no longer kept'} end
end
-- One that a report began: whoever knew it before may know of a stricter limit, or of one that was set.
if redis.call('HGET', key, 'live_members') then
  local asked = given(known.asked_max_parallel_hosts)
  if asked then
    redis.call('HSET', key, 'max_parallel_hosts', asked, 'asked_max_parallel_hosts', asked)
    redis.call('HDEL', key, 'live_members')
  elseif number_in(key, 'max_parallel_hosts', 1) > known.max_parallel_hosts then
    redis.call('HSET', key, 'max_parallel_hosts', integer(known.max_parallel_hosts))
  end
end
for i = 1, #(hosts or {}), 2 do
  if redis.call('HEXISTS', key, 'host:' .. hosts[i]) == 0 then enter(key, hosts[i], hosts[i + 1]) end
end
settle(key, epoch, state)
return {'ok', whole(epoch)}
