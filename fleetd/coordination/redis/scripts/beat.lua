-- All that a member says and hears, in one step.
--
-- KEYS  1 members  2 roster  3 turns  4 rollouts  5 rollouts:open  6 paused  7 incarnation  8 events
--       9 restart-epoch:last  10 member:HOST/INSTANCE  11… the epoch keys that apply to the member
-- ARGV  1 the start of every rollout's key  2 the beat as JSON: member, id, roster (text), epochs (texts, of KEYS 11…),
--       reports (epoch, state, resumes, progress (text), who, label, scope (text), mode, asked_max_parallel_hosts, request), wants, paused, incarnation
--          minutes (key, then fields and values); alerts (key), incidents (key, is_held, told), has_alerts: where
--          the member has any
--       3 the document to publish, "" for as before  4… events
-- Returns {"ok", clock, held, needs_status, incarnation, epoch texts (false: none), rollouts, paused, has_turn,
--           incidents (key, told, is_teller, is_closed, hosts)},
--       or {"ok", clock, "1"} when another daemon has the name, or {"wrong", sentence}.
--
-- Promises: what it writes is absolute, so that it may be lost, late or repeated; nothing is written where another
-- daemon has the name; epochs only grow; junk in a key breaks nobody's beat.  Rollouts that are open, and not reported
-- on, are read by keys that are not in KEYS: they have the same hash tag.
-- uses: values epochs live scope rollout incidents

local members, roster, turns, rollouts, open = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local paused, incarnation, events, last, document = KEYS[6], KEYS[7], KEYS[8], KEYS[9], KEYS[10]
local ROLLOUT = ARGV[1]
local beat = cjson.decode(ARGV[2])
local member = beat.member

--! libraries

-- What is needed anyway is read first: on a key of a wrong type that fails, and nothing is written yet.
local score = redis.pcall('ZSCORE', members, member)
local entry = redis.pcall('HGET', roster, member)
local turn = redis.pcall('ZSCORE', turns, member)
local opened = redis.pcall('SMEMBERS', open)
local wrong = nil
if is_error(score) or is_error(entry) or is_error(turn) or is_error(opened) then
  wrong = wrong_type({{members, 'zset'}, {roster, 'hash'}, {turns, 'zset'}, {open, 'set'}})
elseif #beat.reports > 0 then
  wrong = wrong_type({{rollouts, 'zset'}})
end
if wrong then return {'wrong', wrong} end

local MINUTES_KEPT = 25 * 3600 * 1000
local lease_end = seconds(now + LEASE)

local function is_of_other()
  if entry == beat.roster or not score or tonumber(score) <= now then return false end
  local other = decoded(entry)
  return other and type(other.id) == 'string' and other.id ~= beat.id
end

-- Incarnation, restart-epoch:last and the epoch keys, in this order.  MGET passes over keys of another type.
local function told()
  local keys, missing = {incarnation, last}, {}
  for i = 11, #KEYS do keys[#keys + 1] = KEYS[i] end
  local texts = redis.call('MGET', unpack(keys))
  for i = 2, #keys do
    if not texts[i] then missing[#missing + 1] = keys[i] end
  end
  if #missing > 0 and redis.call('EXISTS', unpack(missing)) > 0 then
    for i = 2, #keys do texts[i] = texts[i] or epoch_text(keys[i]) end
  end
  return texts
end

-- Renews the lease; whether the published document is missing.
local function enrol()
  redis.call('ZADD', members, lease_end, member)
  if entry ~= beat.roster then redis.call('HSET', roster, member, beat.roster) end
  for _, gone in ipairs(redis.call('ZRANGEBYSCORE', members, '-inf', seconds(now - DAY), 'LIMIT', 0, 100)) do
    redis.call('ZREM', members, gone)
    redis.call('HDEL', roster, gone)
  end
  if ARGV[3] == '' then return redis.call('PEXPIRE', document, LEASE * 1000) == 0 end
  redis.call('SET', document, ARGV[3], 'PX', LEASE * 1000)
  return false
end

-- Pauses that were lost with the database's memory are set again by those who still know them.
local function remember(known)
  local is_new = not known or known == ''
  if is_new then
    known = beat.incarnation ~= '' and beat.incarnation or redis.sha1hex(member .. beat.id .. time[1] .. ':' .. time[2])
    redis.call('SET', incarnation, known)
  end
  if is_new or (beat.incarnation ~= '' and beat.incarnation ~= known) then
    for _, field in ipairs(beat.paused) do redis.pcall('HSETNX', paused, field, '1') end
  end
  return known
end

-- As texts has them, and will have them.
local function raise_epochs(texts)
  local greatest = nil
  for i, text in ipairs(beat.epochs) do
    local value = sane(text)
    if value and value > 0 then
      texts[2 + i] = raised(KEYS[10 + i], texts[2 + i], text)
      if not greatest or value > tonumber(greatest) then greatest = text end
    end
  end
  if greatest then raised(last, texts[2], greatest) end
end

local function live_count() return redis.call('ZCOUNT', members, '(' .. seconds(now), '+inf') end

-- How many hosts at once, where nobody set it: by so many live members.
local function work_out_limit(key, number)
  local most = strictest(live_members(members, roster))
  redis.call('HSET', key, 'max_parallel_hosts', most, 'live_members', number)
end

-- A rollout that nobody began, or that was lost, as the report has it.
local function begin(report)
  local key = ROLLOUT .. report.epoch
  redis.call('HSET', key, 'state', 'running', 'when', seconds(now), 'resumes', '0', 'remaining', '0')
  set_intent(key, report)
  if given(report.asked_max_parallel_hosts) then
    redis.call('HSET', key, 'max_parallel_hosts', report.asked_max_parallel_hosts)
  else
    work_out_limit(key, live_count())
  end
  list(report.epoch, 'running')
end

-- The report's JSON object, and until when the host has its turn.
local function with_lease(progress, text) return string.sub(progress, 1, -2) .. ',"lease_until":' .. text .. '}' end

-- Some of a hash's fields, false for each that it does not have; none if it is no hash.
local function fields_of(key, names)
  local values = redis.pcall('HMGET', key, unpack(names))
  return values.err and {} or values
end

-- Whether one of the keys that apply to the member is believed to hold the epoch.
local function has_key_of(epoch)
  for _, text in ipairs(beat.epochs) do
    if text == epoch then return true end
  end
  return false
end

-- It is for more than was known: one that gave way to another goes on, for what the other is not for.
local function widen(key, report, state, scope)
  local mine, theirs = decoded(scope), cjson.decode(report.scope)
  if not mine or (covers(mine.hosts, theirs.hosts) and covers(mine.pools, theirs.pools)) then return state end
  local hosts, pools = union(mine.hosts, theirs.hosts), union(mine.pools, theirs.pools)
  redis.call('HSET', key, 'scope', '{"hosts":' .. hosts .. ',"pools":' .. pools .. '}')
  if state ~= 'superseded' then return state end
  redis.call('HSET', key, 'state', 'running')
  redis.call('HDEL', key, 'superseded_by', 'ended')
  redis.call('SADD', open, report.epoch)
  return 'running'
end

-- It was resumed before it was lost: a failure from before that does not halt it.
local function catch_up(key, report, state)
  redis.call('HSET', key, 'resumes', integer(report.resumes))
  if state ~= 'halted' then return state end
  local by = decoded(redis.call('HGET', key, 'host:' .. (redis.call('HGET', key, 'halted_by') or '')))
  if not by or type(by.resumes) ~= 'number' or by.resumes >= report.resumes then return state end
  redis.call('HSET', key, 'state', 'running')
  redis.call('HDEL', key, 'halted_by')
  return 'running'
end

local function take(report)
  local key = ROLLOUT .. report.epoch
  local state, before, scope, resumes = unpack(fields_of(key, {'state', 'host:' .. member, 'scope', 'resumes'}))
  if not state and redis.call('EXISTS', key) == 0 then
    begin(report)
    state, scope = 'running', report.scope
  end
  if not STATES[state] then return end
  if scope ~= report.scope and has_key_of(report.epoch) then state = widen(key, report, state, scope) end
  local text = with_lease(report.progress, 'null')
  if before ~= text then enter(key, member, text) end
  resumes = count_of(resumes) or 0
  if report.resumes > resumes then state = catch_up(key, report, state) end
  state = settle(key, report.epoch, state)
  if state == 'running' and report.state == 'halted' and report.resumes >= resumes then
    redis.call('HSET', key, 'state', 'halted', 'halted_by', member)
  end
end

-- Whether other hosts than the member's own have less than so many turns: members of one host share theirs.
local function has_room(others, most)
  if others < most then return true end
  local seen, count = {[host_of(member)] = true}, 0
  for _, name in ipairs(redis.call('ZRANGE', turns, 0, -1)) do
    local host = host_of(name)
    if not seen[host] then count = count + 1 end
    seen[host] = true
  end
  return count < most
end

-- The host's right to roll, whatever for: kept, granted or given back.
local function take_turn()
  if #beat.wants == 0 then
    if turn then redis.call('ZREM', turns, member) end
    return false
  end
  redis.call('ZREMRANGEBYSCORE', turns, '-inf', seconds(now))
  local has_it = redis.call('ZSCORE', turns, member)
  local others = redis.call('ZCARD', turns) - (has_it and 1 or 0)
  local is_wanted, is_allowed = false, true
  for _, epoch in ipairs(beat.wants) do
    local key = ROLLOUT .. epoch
    if state_of(key) == 'running' then
      is_wanted = true
      local number = redis.call('HGET', key, 'live_members')
      if number and number ~= tostring(live_count()) then work_out_limit(key, live_count()) end
      is_allowed = is_allowed and (has_it or has_room(others, number_in(key, 'max_parallel_hosts', 1)))
    end
  end
  if not is_wanted or not is_allowed then
    redis.call('ZREM', turns, member)
    return false
  end
  redis.call('ZADD', turns, lease_end, member)
  return true
end

-- The host's field says for how long it has its turn.
local function note_turn()
  for _, report in ipairs(beat.reports) do
    local key = ROLLOUT .. report.epoch
    if state_of(key) then redis.call('HSET', key, 'host:' .. member, with_lease(report.progress, lease_end)) end
  end
end

local FIELDS = {
  'state', 'who', 'when', 'label', 'scope', 'max_parallel_hosts', 'asked_max_parallel_hosts', 'mode', 'request', 'resumes',
  'superseded_by', 'halted_by', 'ended',
}

-- A rollout without the fields of other hosts; nil if it is no rollout.
local function narrowed(epoch, member)
  local names, found = {'host:' .. member, unpack(FIELDS)}, {}
  local values = fields_of(ROLLOUT .. epoch, names)
  if not STATES[values[2]] then return nil end
  for i, name in ipairs(names) do
    if values[i] then
      found[#found + 1] = name
      found[#found + 1] = values[i]
    end
  end
  return {epoch, found}
end

local function seen_rollouts()
  local wanted, found = {}, {}
  for _, epoch in ipairs(opened) do wanted[epoch] = true end
  for _, report in ipairs(beat.reports) do wanted[report.epoch] = true end
  for epoch in pairs(wanted) do found[#found + 1] = narrowed(epoch, member) end
  return found
end

if is_of_other() then return {'ok', seconds(now), '1'} end
local needs_status = enrol()
local texts = told()
local life = remember(texts[1])
raise_epochs(texts)
for _, report in ipairs(beat.reports) do take(report) end
local has_turn = take_turn()
if has_turn then note_turn() end
for i = 4, #ARGV do redis.pcall('XADD', events, 'MAXLEN', '~', 10000, '*', 'e', ARGV[i]) end

for _, minute in ipairs(beat.minutes) do
  local key = table.remove(minute, 1)
  if not is_error(redis.pcall('HSET', key, unpack(minute))) then redis.call('PEXPIRE', key, MINUTES_KEPT) end
end

local fields = redis.pcall('HKEYS', paused)
if fields.err then fields = {} end
local epochs = {unpack(texts, 3)}
local heard = beat.alerts and meet(beat.alerts, member, beat.incidents, beat.has_alerts, live_count()) or {}
return {
  'ok', seconds(now), '', needs_status and '1' or '', life, epochs, seen_rollouts(), fields, has_turn and '1' or '', heard,
}
