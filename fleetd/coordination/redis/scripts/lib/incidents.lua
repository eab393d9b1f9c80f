-- The incidents that alerts are on: who has each, what was told, and who is to tell what is next.
--
-- An entry is JSON: at, told, hosts (member: until when it is believed to have it), teller, teller_until, quiet_at (when
-- nobody has told of it for a while), closed_until; instants as texts, "0" for never.

local HOLD, GATHER, CLOSED = 300, 5, 300

local function instant(text) return tonumber(type(text) == 'string' and text) or 0 end

local function entry_of(raw)
  local entry = decoded(raw)
  if not entry or type(entry.hosts) ~= 'table' or type(entry.told) ~= 'string' then return nil end
  return entry
end

-- Those that have it, and all that had it.
local function holders(entry)
  local having, all = {}, {}
  for name, till in pairs(entry.hosts) do
    all[#all + 1] = name
    if instant(till) > now then having[#having + 1] = name end
  end
  return having, all
end

local function answer(key, entry, is_teller)
  local having, all = holders(entry)
  return {key, entry.told, is_teller and '1' or '', '', #having > 0 and having or all}
end

-- Whether it is for the member to tell what is next.
local function claim(entry, member, live)
  local is_due = entry.told == '' or #holders(entry) == 0
  local is_ripe = entry.told ~= '' or live <= 1 or now >= instant(entry.at) + GATHER
  if not is_due then
    entry.teller = ''
  elseif is_ripe and (entry.teller == '' or entry.teller == member or instant(entry.teller_until) <= now) then
    entry.teller, entry.teller_until = member, seconds(now + LEASE)
  end
  return is_due and entry.teller == member
end

-- What a member says of one, and what it is answered.
local function take_incident(alerts, member, held, live)
  local closed = {held.key, 'recovered', '', '1', {}}
  local entry = entry_of(redis.call('HGET', alerts, held.key))
  local closed_until = entry and instant(entry.closed_until) or 0
  if closed_until > 0 and (held.is_held or closed_until <= now) then entry = nil end
  if not entry then
    if held.told == 'recovered' then return closed end
    entry = {at = seconds(now), told = '', hosts = {}, teller = '', teller_until = '0', closed_until = '0'}
  elseif closed_until > 0 then
    return closed
  end
  entry.quiet_at = seconds(now + LEASE)
  if held.told ~= '' then entry.told = 'opened' end
  if held.is_held then
    entry.hosts[member] = seconds(now + HOLD)
  elseif entry.hosts[member] then
    entry.hosts[member] = '0'
  end
  local is_teller = false
  if held.told ~= 'recovered' then
    is_teller = claim(entry, member, live)
  elseif #holders(entry) == 0 then
    entry.closed_until = seconds(now + CLOSED)
  end
  redis.call('HSET', alerts, held.key, cjson.encode(entry))
  return held.told == 'recovered' and closed or answer(held.key, entry, is_teller)
end

-- Those that nobody has any more, and nobody tells of; what is over for long is dropped.
local function left_behind(alerts, said, found)
  local all = redis.call('HGETALL', alerts)
  for i = 1, #all, 2 do
    local key, entry = all[i], entry_of(all[i + 1])
    local closed_until = entry and instant(entry.closed_until) or 0
    if not entry or (closed_until > 0 and closed_until <= now) or instant(entry.quiet_at) + DAY <= now then
      redis.call('HDEL', alerts, key)
    elseif closed_until == 0 and not said[key] and instant(entry.quiet_at) <= now and #holders(entry) == 0 then
      found[#found + 1] = answer(key, entry, false)
    end
  end
end

-- Where the key is of another type each member tells its own: twice is better than never.
local function each_its_own(incidents)
  local found = {}
  for i, held in ipairs(incidents) do
    found[i] = {held.key, held.told, '1', held.told == 'recovered' and '1' or '', {}}
  end
  return found
end

-- All that a member says of incidents, and what it is answered.
local function meet(alerts, member, incidents, has_alerts, live)
  if is_error(redis.pcall('HGET', alerts, '')) then return each_its_own(incidents) end
  local found, said = {}, {}
  for i, held in ipairs(incidents) do
    found[i] = take_incident(alerts, member, held, live)
    said[held.key] = true
  end
  if has_alerts and redis.call('EXISTS', alerts) == 1 then left_behind(alerts, said, found) end
  return found
end
