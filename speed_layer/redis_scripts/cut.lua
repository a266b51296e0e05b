-- Close the open segment of one partition at the position applied so far and opens the next one.
--
-- KEYS[1]  the partition's key prefix
-- Returns  the start of the segment that is open afterwards: everything before it belongs to closed segments.
--          Nothing (false) when the partition has no state.
local state = KEYS[1] .. ":state"
local stored = redis.call("HMGET", state, "position", "segment")
if not stored[1] then return false end
-- Before the segment start (a repair still warming up) there is nothing to close.
if tonumber(stored[1]) <= tonumber(stored[2]) then return stored[2] end
redis.call("ZADD", KEYS[1] .. ":segments", stored[1], stored[1])
redis.call("HSET", state, "segment", stored[1])
redis.call("HDEL", state, "unknown_videos", "unknown_ids")
return stored[1]
