-- The enqueue time of a list's first or last job: its payload, or what its record says.
--
-- KEYS  1 the list
-- ARGV  1 the index: 0 or -1  2 the name of the record, with {job} in it ("": the list holds payloads)
--       3 the field of the record that holds the payload, with or without {job} ("": it has fields of its own)
--       4... those fields
-- Returns the payload in one piece, or its beginning and its end, {text} or {beginning, end}; the fields' values
--       {value or false, …}; or false, where there is no such job or record.
--
-- Promises: writes nothing; what it returns is small, however large the payload is.  The record is not in KEYS, for its
-- name is known only here; a Cluster has it where the list is, or answers false.

local BEGINNING, END, NAME, VALUE = 4096, 12288, 512, 64

local function pieces(text)
  if type(text) ~= 'string' then return false end
  if #text <= BEGINNING + END then return {text} end
  return {string.sub(text, 1, BEGINNING), string.sub(text, -END)}
end

local job = redis.pcall('LINDEX', KEYS[1], ARGV[1])
if ARGV[2] == '' then return pieces(job) end
if type(job) ~= 'string' or #job > NAME then return false end

local function named(template)
  return (string.gsub(template, '{job}', function() return job end))
end

if ARGV[3] ~= '' then return pieces(redis.pcall('HGET', named(ARGV[2]), named(ARGV[3]))) end

local found = redis.pcall('HMGET', named(ARGV[2]), unpack(ARGV, 4))
if found.err then return false end
for index, value in ipairs(found) do
  if value and #value > VALUE then found[index] = false end
end
return found
