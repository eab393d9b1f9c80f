-- All that a member says and hears, in one step.
--
-- KEYS  1 members  2 roster  3 turns  4 rollouts  5 rollouts:open  6 paused  7 incarnation  8 events
--       9 restart-epoch:last  10 member:HOST/INSTANCE  11… the epoch keys that apply to the member
-- ARGV  1 the start of every rollout's key  2 the beat as JSON: member, id, roster (text), epochs (texts, of KEYS 11…),
--       reports (epoch, state, resumes, progress (text), who, label, scope (text), mode), wants, paused, incarnation
--       3 the document to publish, "" for as before  4… events
-- Returns {"ok", clock, held, needs_status, incarnation, epoch texts (false: none), rollouts, paused, has_turn},
--       or {"ok", clock, "1"} when another daemon has the name, or {"wrong", sentence}.
--
-- Promises: what it writes is absolute, so that it may be lost, late or repeated; nothing is written where another
-- daemon has the name; epochs only grow; junk in a key breaks nobody's beat.  Rollouts that are open, and not reported
-- on, are read by keys that are not in KEYS: they have the same hash tag.
-- uses: values epochs live rollout

local members, roster, turns, rollouts, open = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local paused, incarnation, events, last, document = KEYS[6], KEYS[7], KEYS[8], KEYS[9], KEYS[10]
local ROLLOUT = ARGV[1]
local beat = cjson.decode(ARGV[2])
local member = beat.member

--! libraries

local wrong = wrong_type({
  {members, 'zset'}, {roster, 'hash'}, {turns, 'zset'}, {rollouts, 'zset'}, {open, 'set'},
})
if wrong then return {'wrong', wrong} end

local lease_end = seconds(now + LEASE)

local function is_of_other()
  local score = redis.call('ZSCORE', members, member)
  local entry = decoded(redis.call('HGET', roster, member))
  return score and tonumber(score) > now and entry and type(entry.id) == 'string' and entry.id ~= beat.id
end

-- Renews the lease; whether the published document is missing.
local function enrol()
  redis.call('ZADD', members, lease_end, member)
  if redis.call('HGET', roster, member) ~= beat.roster then redis.call('HSET', roster, member, beat.roster) end
  for _, gone in ipairs(redis.call('ZRANGEBYSCORE', members, '-inf', seconds(now - DAY), 'LIMIT', 0, 100)) do
    redis.call('ZREM', members, gone)
    redis.call('HDEL', roster, gone)
  end
  if ARGV[3] == '' then return redis.call('PEXPIRE', document, LEASE * 1000) == 0 end
  redis.call('SET', document, ARGV[3], 'PX', LEASE * 1000)
  return false
end

-- Pauses that were lost with the database's memory are set again by those who still know them.
local function remember()
  local known = redis.pcall('GET', incarnation)
  local is_new = type(known) ~= 'string' or known == ''
  if is_new then
    known = beat.incarnation ~= '' and beat.incarnation or redis.sha1hex(member .. beat.id .. time[1] .. ':' .. time[2])
    redis.call('SET', incarnation, known)
  end
  if is_new or (beat.incarnation ~= '' and beat.incarnation ~= known) then
    for _, field in ipairs(beat.paused) do redis.pcall('HSETNX', paused, field, '1') end
  end
  return known
end

local function raise_epochs()
  local greatest = nil
  for i, text in ipairs(beat.epochs) do
    local value = sane(text)
    if value and value > 0 then
      raise(KEYS[10 + i], text)
      if not greatest or value > tonumber(greatest) then greatest = text end
    end
  end
  if greatest then raise(last, greatest) end
end

-- A rollout that nobody began, or that was lost, as the report has it.
local function begin(report)
  local live, count = live_members(members, roster)
  local key = ROLLOUT .. report.epoch
  redis.call('HSET', key, 'state', 'running', 'who', report.who, 'when', seconds(now), 'scope', report.scope,
    'max_parallel_hosts', strictest(live, count), 'mode', report.mode, 'resumes', '0', 'remaining', '0')
  if given(report.label) then redis.call('HSET', key, 'label', report.label) end
  list(report.epoch, 'running')
end

-- The report's JSON object, and until when the host has its turn.
local function with_lease(progress, text) return string.sub(progress, 1, -2) .. ',"lease_until":' .. text .. '}' end

local function take(report)
  local key = ROLLOUT .. report.epoch
  if redis.call('EXISTS', key) == 0 then begin(report) end
  local state = state_of(key)
  if not state then return end
  enter(key, member, with_lease(report.progress, 'null'))
  state = settle(key, report.epoch, state)
  if state == 'running' and report.state == 'halted' and report.resumes >= number_in(key, 'resumes', 0) then
    redis.call('HSET', key, 'state', 'halted', 'halted_by', member)
  end
end

-- The host's right to roll, whatever for: kept, granted or given back.
local function take_turn()
  redis.call('ZREMRANGEBYSCORE', turns, '-inf', seconds(now))
  local has_it = redis.call('ZSCORE', turns, member)
  local others = redis.call('ZCARD', turns) - (has_it and 1 or 0)
  local is_wanted, is_allowed = false, true
  for _, epoch in ipairs(beat.wants) do
    local key = ROLLOUT .. epoch
    if state_of(key) == 'running' then
      is_wanted = true
      if others >= number_in(key, 'max_parallel_hosts', 1) then is_allowed = false end
    end
  end
  if not is_wanted or not (has_it or is_allowed) then
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

local function seen_rollouts()
  local wanted, found = {}, {}
  for _, epoch in ipairs(redis.call('SMEMBERS', open)) do wanted[epoch] = true end
  for _, report in ipairs(beat.reports) do wanted[report.epoch] = true end
  for epoch in pairs(wanted) do found[#found + 1] = narrowed(epoch, member) end
  return found
end

if is_of_other() then return {'ok', seconds(now), '1'} end
local needs_status = enrol()
local life = remember()
raise_epochs()
for _, report in ipairs(beat.reports) do take(report) end
local has_turn = take_turn()
if has_turn then note_turn() end
for i = 4, #ARGV do redis.pcall('XADD', events, 'MAXLEN', '~', 10000, '*', 'e', ARGV[i]) end

local texts = {}
for i = 11, #KEYS do texts[#texts + 1] = epoch_text(KEYS[i]) end
local fields = redis.pcall('HKEYS', paused)
if fields.err then fields = {} end
return {'ok', seconds(now), '', needs_status and '1' or '', life, texts, seen_rollouts(), fields, has_turn and '1' or ''}
