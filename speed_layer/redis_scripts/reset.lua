-- Begins a partition anew: forgets everything and opens one empty segment.
--
-- KEYS[1]  the partition's key prefix
-- ARGV     position to read from, segment start, replay_until
-- Events between the position and the segment start only make their ids known.
local state, segments, generations = KEYS[1] .. ":state", KEYS[1] .. ":segments", KEYS[1] .. ":generations"
for _, start in ipairs(redis.call("ZRANGE", segments, 0, -1)) do redis.call("UNLINK", KEYS[1] .. ":segment:" .. start) end
for _, number in ipairs(redis.call("ZRANGE", generations, 0, -1)) do redis.call("UNLINK", KEYS[1] .. ":seen:" .. number) end
redis.call("UNLINK", state, segments, generations)
redis.call("ZADD", segments, ARGV[2], ARGV[2])
redis.call("HSET", state, "position", ARGV[1], "segment", ARGV[2], "replay_until", ARGV[3])
return 1
