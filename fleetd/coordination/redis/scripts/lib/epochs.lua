-- Epoch keys: they only grow.

-- Its text; for a key of another type something that is not sane. False where there is none.
local function epoch_text(key)
  local raw = redis.pcall('GET', key)
  if type(raw) == 'table' then return '(' .. redis.call('TYPE', key).ok .. ')' end
  return raw
end

-- Sets a missing or lower key, whose text is `raw`; one that is not sane is left for its operator to see. Its text then.
local function raised(key, raw, text)
  local stored = sane(raw)
  if raw and not (stored and stored < tonumber(text)) then return raw end
  redis.call('SET', key, text)
  return text
end

-- Sets it likewise, but for someone who asks for it: what is not sane gives way.
local function force(key, text)
  local stored = sane(epoch_text(key))
  if not stored or stored < tonumber(text) then redis.call('SET', key, text) end
end
