-- Read the provisional counts of one partition from an offset on. Read-only.
--
-- KEYS[1]  the partition's key prefix
-- ARGV     offset_end, then video ids
-- Returns  {} when the partition has no state; else {1 if a segment starts at offset_end, position, segment,
--          replay_until, append time (ms), time of applying (ms), how long ago (ms) everything on the log was
--          counted, the log's name, count of each video id}; absent values are -1, an absent name is empty. A
--          count that may be too small, because views of the video may have been set apart (see apply.lua), is
--          -1 - count.
local SLICE = 4000
local function is_marked(filter, video)
  local digest = redis.sha1hex(video)
  for first = 1, 19, 6 do
    if redis.call("GETBIT", filter, tonumber(digest:sub(first, first + 5), 16) % 8388608) == 0 then return false end
  end
  return true
end
local is_doubtful = {}
local stored = redis.call("HMGET", KEYS[1] .. ":state",
  "position", "segment", "replay_until", "appended_at_ms", "applied_at_ms", "covered_at_ms", "target", "target_at_ms",
  "log")
if not stored[1] then return {} end
local segments, ids = KEYS[1] .. ":segments", {}
local reply = {redis.call("ZSCORE", segments, ARGV[1]) and 1 or 0}
for index = 1, 5 do reply[index + 1] = tonumber(stored[index] or -1) end
local covered_at_ms = stored[6]
if stored[7] and tonumber(stored[1]) >= tonumber(stored[7]) then covered_at_ms = stored[8] end
reply[8] = stored[9] or ""
local now = redis.call("TIME")
-- A clock that was set back makes a heartbeat as unreliable as an old one.
reply[7] = covered_at_ms and math.abs(now[1] * 1000 + math.floor(now[2] / 1000) - covered_at_ms) or -1
for index = 2, #ARGV do
  ids[index - 1] = ARGV[index]
  reply[index + 7] = 0
end
for _, start in ipairs(redis.call("ZRANGEBYSCORE", segments, ARGV[1], "+inf")) do
  local key = KEYS[1] .. ":segment:" .. start
  local filter = KEYS[1] .. ":apart:" .. start
  local has_apart = redis.call("EXISTS", filter) == 1
  for first = 1, #ids, SLICE do
    local counts = redis.call("HMGET", key, unpack(ids, first, math.min(first + SLICE - 1, #ids)))
    for index, count in ipairs(counts) do
      local number = first + index - 1
      if count then
        reply[number + 8] = reply[number + 8] + tonumber(count)
      elseif has_apart and is_marked(filter, ids[number]) then
        is_doubtful[number] = true
      end
    end
  end
end
for number in pairs(is_doubtful) do reply[number + 8] = -1 - reply[number + 8] end
return reply
