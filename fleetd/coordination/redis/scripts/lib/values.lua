-- Time, numbers, names and types, read with distrust: anyone may write to these keys.

local LEASE = 10
local DAY = 86400
local LARGEST = 9007199254740991 -- 2^53 - 1

local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000

-- cjson and tostring would round to 14 digits.
local function integer(number) return string.format('%.0f', number) end
local function seconds(number) return string.format('%.6f', number) end

-- The whole number below 2^53 that a text means; nil for anything else.
local function whole_number(raw)
  if type(raw) ~= 'string' or #raw > 16 or not string.find(raw, '^%d+$') then return nil end
  local number = tonumber(raw)
  return number <= LARGEST and number or nil
end

-- What an epoch key's text means; nil for what must not be believed.
local function sane(raw)
  local number = whole_number(raw)
  return number and number <= now + DAY and number or nil
end

-- A number written with a few digits, as we write them; nil for anything else.
local function count_of(text)
  if type(text) == 'string' and #text < 16 and string.find(text, '^-?%d+$') then return tonumber(text) end
  return nil
end

-- The table that a JSON text holds; nil for anything else.
local function decoded(text)
  if type(text) ~= 'string' then return nil end
  local is_json, value = pcall(cjson.decode, text)
  if is_json and type(value) == 'table' then return value end
  return nil
end

-- A JSON null is a value of its own in Lua.
local function given(value)
  if value == cjson.null then return nil end
  return value
end

local function is_member(name)
  local host, instance = string.match(name, '^([A-Za-z0-9][A-Za-z0-9_.-]*)/([a-z0-9][a-z0-9_.-]*)$')
  return host ~= nil and #host <= 63 and #instance <= 63
end

local function host_of(name) return string.match(name, '^[^/]*') end

-- Whether what pcall answered is an error.
local function is_error(answer) return type(answer) == 'table' and answer.err ~= nil end

-- A sentence about the first key that has a type other than the one it should have; nil if there is none.
local function wrong_type(keys)
  for _, pair in ipairs(keys) do
    local is = redis.call('TYPE', pair[1]).ok
    if is ~= 'none' and is ~= pair[2] then
      return pair[1] .. ' is a ' .. is .. ', and should be a ' .. pair[2] .. ': delete it'
    end
  end
  return nil
end
