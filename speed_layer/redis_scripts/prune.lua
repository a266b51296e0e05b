-- Drop the segments of one partition that start before an offset; the open one always stays.
--
-- KEYS[1]  the partition's key prefix
-- ARGV     the offset
-- Returns  how many segments were dropped.
local segments, dropped = KEYS[1] .. ":segments", 0
local open = redis.call("HGET", KEYS[1] .. ":state", "segment")
for _, start in ipairs(redis.call("ZRANGEBYSCORE", segments, "-inf", "(" .. ARGV[1])) do
  if start ~= open then
    redis.call("UNLINK", KEYS[1] .. ":segment:" .. start, KEYS[1] .. ":apart:" .. start)
    redis.call("ZREM", segments, start)
    dropped = dropped + 1
  end
end
return dropped
