-- Restart a partition: forget everything and open one empty segment.
--
-- KEYS[1]  the partition's key prefix
-- ARGV     position to read from, segment start, replay_until, the log's name; then, unless any state is to be replaced, the
--          position and the open segment's start that were read (both empty if there was no state)
-- Events between the position and the segment start only make their ids known.
-- Returns  1, or 0, with nothing changed, when the stored position or segment is another one.
local state, segments, generations = KEYS[1] .. ":state", KEYS[1] .. ":segments", KEYS[1] .. ":generations"
if ARGV[5] then
  local stored = redis.call("HMGET", state, "position", "segment")
  if (stored[1] or "") ~= ARGV[5] or (stored[2] or "") ~= ARGV[6] then return 0 end
end
for _, start in ipairs(redis.call("ZRANGE", segments, 0, -1)) do
  redis.call("UNLINK", KEYS[1] .. ":segment:" .. start, KEYS[1] .. ":apart:" .. start)
end
for _, number in ipairs(redis.call("ZRANGE", generations, 0, -1)) do redis.call("UNLINK", KEYS[1] .. ":seen:" .. number) end
redis.call("UNLINK", state, segments, generations)
redis.call("ZADD", segments, ARGV[2], ARGV[2])
redis.call("HSET", state, "position", ARGV[1], "segment", ARGV[2], "replay_until", ARGV[3], "log", ARGV[4])
return 1
