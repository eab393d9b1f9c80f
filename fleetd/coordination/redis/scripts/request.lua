-- A restart is asked for.
--
-- KEYS  1 rollouts  2 rollouts:open  3 restart-epoch:last  4 request:ID  5… the epoch keys to raise
-- ARGV  1 the start of every rollout's key  2 the request as JSON: who, label, scope (text), mode,
--       asked_max_parallel_hosts (text or null), request (its id)  3 the text of a host's field that is only asked  4 the channel to wake hosts by  5 members
--       6 roster (not in KEYS: what is there must be writable, and a requester may not write these)
-- Returns {"ok", {epoch, fields}}, or {"ok", false} when no live member is in scope, or {"wrong", sentence}.
--
-- Promises: the same ID is one request, however often it comes within a day; its epoch is greater than every number
-- given out before and than what the live members in scope believe; all or nothing is written.
-- uses: values epochs live scope rollout

local rollouts, open, last, answered = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local ROLLOUT, members, roster = ARGV[1], ARGV[5], ARGV[6]
local request = cjson.decode(ARGV[2])
local scope = cjson.decode(request.scope)

--! libraries

local wrong = wrong_type({
  {members, 'zset'}, {roster, 'hash'}, {rollouts, 'zset'}, {open, 'set'}, {answered, 'string'},
})
if wrong then return {'wrong', wrong} end

local hosts, pools = set_of(scope.hosts), set_of(scope.pools)

local function has_one(set, items)
  for _, item in ipairs(type(items) == 'table' and items or {}) do
    if set[item] then return true end
  end
  return false
end

local function is_in_scope(name, entry)
  if hosts and not hosts[host_of(name)] then return false end
  return not pools or has_one(pools, entry.pools)
end

-- Greater than all that was given out, and than all that those who are asked believe: they would ignore it otherwise.
local function next_epoch(believed)
  local epoch = math.max(math.floor(now), (sane(epoch_text(last)) or 0) + 1, believed + 1)
  for i = 5, #KEYS do epoch = math.max(epoch, (sane(epoch_text(KEYS[i])) or 0) + 1) end
  return epoch
end

-- What is said of a number that hosts would refuse, since it is more than a day ahead of the clock.
local function too_far(believed)
  local ahead, rest = (believed - now) / 3600, (believed + 1 - now - DAY) / 3600
  return string.format('the hosts remember restart epoch %.0f, %.1f h ahead of the clock of the coordinator, and would '
    .. 'ignore a lower one: set that clock right, or ask again in %.1f h; nothing was asked for', believed, ahead, rest)
end

local function supersede(epoch)
  for _, other in ipairs(redis.call('SMEMBERS', open)) do
    local key = ROLLOUT .. other
    local theirs = is_open(state_of(key)) and decoded(redis.call('HGET', key, 'scope'))
    if theirs and covers(scope.hosts, theirs.hosts) and covers(scope.pools, theirs.pools) then
      redis.call('HSET', key, 'state', 'superseded', 'superseded_by', epoch, 'ended', seconds(now))
      redis.call('SREM', open, other)
    end
  end
end

local function begin(epoch, names, most)
  local key = ROLLOUT .. epoch
  redis.call('DEL', key)
  redis.call('HSET', key, 'state', 'running', 'when', seconds(now), 'max_parallel_hosts', most, 'resumes', '0',
    'remaining', #names)
  set_intent(key, request)
  for _, name in ipairs(names) do redis.call('HSET', key, 'host:' .. name, ARGV[3]) end
  list(epoch, 'running')
end

local before = redis.call('GET', answered)
if before then
  if not count_of(before) then return {'wrong', answered .. ' holds no epoch: delete it'} end
  if not state_of(ROLLOUT .. before) then return {'wrong', 'rollout ' .. before .. ' is no longer kept'} end
  return {'ok', whole(before)}
end

-- An open rollout of the same request, by its field: the answer was lost here, and the rollout came back by reports.
local function begun_before()
  local found = nil
  for _, epoch in ipairs(redis.call('SMEMBERS', open)) do
    local key = ROLLOUT .. epoch
    local is_its = is_open(state_of(key)) and sane(epoch) and redis.call('HGET', key, 'request') == request.request
    if is_its and (not found or tonumber(epoch) > tonumber(found)) then found = epoch end
  end
  return found
end

local again = begun_before()
if again then return {'ok', whole(again)} end

local live, count = live_members(members, roster)
local names, believed = {}, 0
for name, entry in pairs(live) do
  if is_in_scope(name, entry) then
    names[#names + 1] = name
    believed = math.max(believed, whole_number(entry.epoch) or 0)
  end
end
if #names == 0 then return {'ok', false} end

local number = next_epoch(believed)
if number > now + DAY then return {'wrong', too_far(number - 1)} end
local epoch = integer(number)
redis.call('PUBLISH', ARGV[4], 'restart ' .. epoch) -- first: who may not do this changes nothing
for i = 5, #KEYS do redis.call('SET', KEYS[i], epoch) end
redis.call('SET', last, epoch)
supersede(epoch)
begin(epoch, names, given(request.asked_max_parallel_hosts) or strictest(live, count))
redis.call('SET', answered, epoch, 'EX', DAY)
return {'ok', whole(epoch)}
