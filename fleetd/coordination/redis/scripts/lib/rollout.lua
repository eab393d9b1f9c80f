-- One rollout's hash, and where it is listed.  Sets ROLLOUT (the start of its keys), rollouts and open before.

local KEPT = 100
local STATES = {running = true, done = true, halted = true, superseded = true}

-- Its state; nil if it does not exist or is no rollout.
local function state_of(key)
  local state = redis.pcall('HGET', key, 'state')
  if type(state) == 'string' and STATES[state] then return state end
  return nil
end

local function is_open(state) return state == 'running' or state == 'halted' end

-- A number in one of its fields.
local function number_in(key, field, default)
  return count_of(redis.call('HGET', key, field)) or default
end

-- What it is for, by whom, and what was asked of it: the fields that members report, too.
local function set_intent(key, intent)
  redis.call('HSET', key, 'who', intent.who, 'scope', intent.scope, 'mode', intent.mode)
  for _, field in ipairs({'label', 'asked_max_parallel_hosts', 'request'}) do
    if given(intent[field]) then redis.call('HSET', key, field, intent[field]) end
  end
end

local function is_done(text)
  local progress = decoded(text)
  return progress ~= nil and progress.state == 'done'
end

-- Lists it, and lets go of those that are too old.
local function list(epoch, state)
  redis.call('ZADD', rollouts, epoch, epoch)
  if is_open(state) then redis.call('SADD', open, epoch) end
  for _, old in ipairs(redis.call('ZRANGE', rollouts, 0, -(KEPT + 1))) do
    redis.call('ZREM', rollouts, old)
    redis.call('SREM', open, old)
    redis.call('DEL', ROLLOUT .. old)
  end
end

local function recounted(key)
  local remaining = 0
  local all = redis.call('HGETALL', key)
  for i = 1, #all, 2 do
    local member = string.match(all[i], '^host:(.*)$')
    if member and is_member(member) and decoded(all[i + 1]) and not is_done(all[i + 1]) then remaining = remaining + 1 end
  end
  redis.call('HSET', key, 'remaining', remaining)
  return remaining
end

-- Sets a host's field, and counts, so that finishing costs the same for any number of hosts.
local function enter(key, member, text)
  local field = 'host:' .. member
  local before = redis.call('HGET', key, field)
  redis.call('HSET', key, field, text)
  local change = (is_done(text) and 0 or 1) - ((not before or is_done(before)) and 0 or 1)
  if change ~= 0 and type(redis.pcall('HINCRBY', key, 'remaining', change)) == 'table' then recounted(key) end
end

-- Done when all of its hosts are, running again when one of them is not any more; its state then.
local function settle(key, epoch, state)
  local remaining = number_in(key, 'remaining', nil)
  if not remaining or (remaining <= 0 and is_open(state)) then remaining = recounted(key) end
  if remaining <= 0 and is_open(state) then
    redis.call('HSET', key, 'state', 'done', 'ended', seconds(now))
    redis.call('HDEL', key, 'halted_by')
    redis.call('SREM', open, epoch)
    return 'done'
  end
  if remaining > 0 and state == 'done' then
    redis.call('HSET', key, 'state', 'running')
    redis.call('HDEL', key, 'ended')
    redis.call('SADD', open, epoch)
    return 'running'
  end
  return state
end

-- All of it: its epoch, and its fields, each with its value.
local function whole(epoch) return {epoch, redis.call('HGETALL', ROLLOUT .. epoch)} end
