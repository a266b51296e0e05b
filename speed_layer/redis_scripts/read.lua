-- Reads the provisional counts of one partition from an offset on. Read-only.
--
-- KEYS[1]  the partition's key prefix
-- ARGV     offset_end, then video ids
-- Returns  {} when the partition has no state; else {1 if a segment starts at offset_end, position, segment,
--          replay_until, append time (ms), time of applying (ms), count of each video id}; absent values are -1.
local SLICE = 4000
local stored = redis.call("HMGET", KEYS[1] .. ":state",
  "position", "segment", "replay_until", "appended_at_ms", "applied_at_ms")
if not stored[1] then return {} end
local segments, ids = KEYS[1] .. ":segments", {}
local reply = {redis.call("ZSCORE", segments, ARGV[1]) and 1 or 0}
for index = 1, 5 do reply[index + 1] = tonumber(stored[index] or -1) end
for index = 2, #ARGV do
  ids[index - 1] = ARGV[index]
  reply[index + 5] = 0
end
for _, start in ipairs(redis.call("ZRANGEBYSCORE", segments, ARGV[1], "+inf")) do
  local key = KEYS[1] .. ":segment:" .. start
  for first = 1, #ids, SLICE do
    local counts = redis.call("HMGET", key, unpack(ids, first, math.min(first + SLICE - 1, #ids)))
    for index, count in ipairs(counts) do
      if count then reply[first + index + 5] = reply[first + index + 5] + tonumber(count) end
    end
  end
end
return reply
