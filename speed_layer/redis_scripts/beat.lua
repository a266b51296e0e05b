-- Note a heartbeat: where one partition of the log ended at an instant.
--
-- KEYS[1]  the partition's key prefix
-- ARGV     the log's end, the server's time (ms) of the request for it, before the log answered, the log's name
-- Everything that was on the log at `covered_at_ms` is counted. While counting is behind, the oldest end not reached yet
-- stays the target: a target that moved with every heartbeat would never be reached.
-- Returns  1, or 0, with nothing changed, when there is no state.
local state = KEYS[1] .. ":state"
local stored = redis.call("HMGET", state, "position", "target", "target_at_ms")
if not stored[1] then return 0 end
redis.call("HSETNX", state, "log", ARGV[3]) -- states of earlier versions lack it
local position = tonumber(stored[1])
local is_reached = stored[2] and position >= tonumber(stored[2])
if is_reached then redis.call("HSET", state, "covered_at_ms", stored[3]) end
if position >= tonumber(ARGV[1]) then
  redis.call("HSET", state, "covered_at_ms", ARGV[2])
  redis.call("HDEL", state, "target", "target_at_ms")
elseif is_reached or not stored[2] then
  redis.call("HSET", state, "target", ARGV[1], "target_at_ms", ARGV[2])
end
return 1
