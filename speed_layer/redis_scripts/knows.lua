-- Whether one partition remembers an event id. Read-only.
--
-- KEYS[1]  the partition's key prefix
-- ARGV     the event id (16 bytes)
-- Returns  1 or 0.
for _, number in ipairs(redis.call("ZRANGE", KEYS[1] .. ":generations", 0, -1)) do
  if redis.call("SISMEMBER", KEYS[1] .. ":seen:" .. number, ARGV[1]) == 1 then return 1 end
end
return 0
