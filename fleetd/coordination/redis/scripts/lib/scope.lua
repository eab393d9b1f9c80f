-- Lists of hosts or of pools, as scopes have them; anything that is no list stands for all.

-- Lists as sets; nil for all.
local function set_of(list)
  if type(list) ~= 'table' then return nil end
  local set = {}
  for _, item in ipairs(list) do set[item] = true end
  return set
end

-- Whether all that the second names is in the first.
local function covers(list, other)
  local set = set_of(list)
  if not set then return true end
  if type(other) ~= 'table' then return false end
  for _, item in ipairs(other) do
    if not set[item] then return false end
  end
  return true
end

-- Both, as JSON.
local function union(list, other)
  if type(list) ~= 'table' or type(other) ~= 'table' then return 'null' end
  local set, all = set_of(list), {}
  for i, item in ipairs(list) do all[i] = item end
  for _, item in ipairs(other) do
    if not set[item] then all[#all + 1] = item end
  end
  return #all == 0 and '[]' or cjson.encode(all)
end
