-- The live members, as the roster has them.

-- By name; and on how many hosts they are.
local function live_members(members, roster)
  local live, hosts, count = {}, {}, 0
  for _, name in ipairs(redis.call('ZRANGEBYSCORE', members, '(' .. seconds(now), '+inf')) do
    local entry = is_member(name) and decoded(redis.call('HGET', roster, name))
    if entry and type(entry.id) == 'string' then
      live[name] = entry
      if not hosts[host_of(name)] then count = count + 1 end
      hosts[host_of(name)] = true
    end
  end
  return live, count
end

-- How many hosts a member lets roll at once, of `count`: a share is of hosts, since one may have several members.
local function allowed_by(entry, count)
  local amount = entry.max_parallel_hosts
  if type(amount) ~= 'table' then return count end
  if type(amount.share) == 'number' then return math.floor(amount.share * count + 0.000000001) end
  if type(amount.count) == 'number' then return math.floor(amount.count) end
  return count
end

-- The least of what they allow, as text.
local function strictest(live, count)
  local least = nil
  for _, entry in pairs(live) do
    local allowed = allowed_by(entry, count)
    if not least or allowed < least then least = allowed end
  end
  return integer(math.max(1, least or 1))
end
