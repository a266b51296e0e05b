-- Apply one chunk of one partition: effect and position in one atomic step.
--
-- KEYS[1]  the partition's key prefix, e.g. {views:7}
-- ARGV     position the chunk begins at, position after it, generation, append time of its last message (ms; empty
--          if there is none), time of applying (ms), event ids (16 bytes each, concatenated), their video ids
--          (MessagePack list; empty for invalid traffic, whose ids only become known), those of them that are not in the catalogue (MessagePack list), how many of such
--          the segment may hold
-- Returns  {1, counted, known before, 1 if the chunk lies before the open segment, events apart, invalid}. Or, with
--          nothing changed: {0, position, segment} when the stored position is another one or the chunk crosses the
--          start of the open segment; {0} when there is no state.
local SLICE = 4000 -- Lua can pass about 8,000 arguments
local state, segments, generations = KEYS[1] .. ":state", KEYS[1] .. ":segments", KEYS[1] .. ":generations"

local stored = redis.call("HMGET", state, "position", "segment")
if not stored[1] then return {0} end
local position, segment = tonumber(stored[1]), tonumber(stored[2])
local crosses = position < segment and tonumber(ARGV[2]) > segment
if stored[1] ~= ARGV[1] or crosses then return {0, stored[1], stored[2]} end

-- 1. Which ids are new. Generations never go back, whatever the broker's clock does.
local newest = tonumber(redis.call("ZRANGE", generations, -1, -1)[1] or ARGV[3])
local generation = math.max(newest, tonumber(ARGV[3]))
local function seen(number) return KEYS[1] .. ":seen:" .. string.format("%d", number) end

local packed, ids = ARGV[6], {}
for index = 1, #packed / 16 do ids[index] = packed:sub(16 * index - 15, 16 * index) end
local is_known = {}
for number = generation - 2, generation do
  local key = seen(number)
  if redis.call("EXISTS", key) == 1 then
    for first = 1, #ids, SLICE do
      local flags = redis.call("SMISMEMBER", key, unpack(ids, first, math.min(first + SLICE - 1, #ids)))
      for index, flag in ipairs(flags) do
        if flag == 1 then is_known[first + index - 1] = true end
      end
    end
  end
end

local videos, views = cmsgpack.unpack(ARGV[7]), {}
for index = 1, #ids do
  local video = videos[index]
  if not is_known[index] and video ~= "" then views[video] = (views[video] or 0) + 1 end
end

-- 2. Which videos are set apart: invented ids of videos must fill neither counts nor seen ids. A segment
--    takes a limited number; of the others only marks in a filter of 1 MiB are kept: reading needs
--    them to know which counts may be too small.
local is_warm_up = position < segment
local counts, limit = KEYS[1] .. ":segment:" .. stored[2], tonumber(ARGV[9])
local is_apart, unknown = {}, cmsgpack.unpack(ARGV[8])
if #unknown > 0 then
  local field = is_warm_up and "unknown_ids" or "unknown_videos"
  if is_warm_up then limit = limit * 10 end -- only ids are kept then, and a video may have many
  local before = tonumber(redis.call("HGET", state, field) or "0")
  local taken = before
  for _, video in ipairs(unknown) do
    if views[video] and (is_warm_up or redis.call("HEXISTS", counts, video) == 0) then
      if taken < limit then
        taken = taken + (is_warm_up and views[video] or 1)
      else
        is_apart[video] = true
        local digest = redis.sha1hex(video)
        for first = 1, 19, 6 do
          local bit = tonumber(digest:sub(first, first + 5), 16) % 8388608
          redis.call("SETBIT", KEYS[1] .. ":apart:" .. stored[2], bit, 1)
        end
      end
    end
  end
  if taken > before then redis.call("HSET", state, field, taken) end
end
local kept, counted, known, invalid = {}, 0, 0, 0
for index = 1, #ids do
  if is_known[index] then known = known + 1 end
  if not is_known[index] and videos[index] == "" then
    invalid = invalid + 1
  elseif not is_known[index] and not is_apart[videos[index]] then
    counted = counted + 1
  end
  if is_known[index] or not is_apart[videos[index]] then kept[#kept + 1] = ids[index] end
end
local apart = #ids - #kept
ids = kept

-- 3. The effect. Known ids are noted again: what counts is the time since an id was last seen, and what is known is a
--    function of the last three generations of the log alone.
if #ids > 0 then
  for first = 1, #ids, SLICE do
    redis.call("SADD", seen(generation), unpack(ids, first, math.min(first + SLICE - 1, #ids)))
  end
  redis.call("ZADD", generations, generation, string.format("%d", generation))
end
if #ids > 0 and generation > newest then
  for _, old in ipairs(redis.call("ZRANGEBYSCORE", generations, "-inf", generation - 3)) do
    redis.call("UNLINK", KEYS[1] .. ":seen:" .. old)
    redis.call("ZREM", generations, old)
  end
end
-- Events before the segment start only make their ids known: an older segment or a version counts them.
if not is_warm_up then
  -- The sum is written, not the difference. Redis cuts a damaged tail off its file after the last whole command, which
  -- may leave the first half of a lost chunk there; the next start of Redis does that half, too, before what was applied
  -- in its place. A sum is then overwritten; a difference would be added a second time.
  for video, count in pairs(views) do
    if not is_apart[video] then
      redis.call("HSET", counts, video, string.format("%d", tonumber(redis.call("HGET", counts, video) or "0") + count))
    end
  end
end

-- 4. The position.
redis.call("HSET", state, "position", ARGV[2], "applied_at_ms", ARGV[5])
if ARGV[4] ~= "" then redis.call("HSET", state, "appended_at_ms", ARGV[4]) end
return {1, is_warm_up and 0 or counted, known, is_warm_up and 1 or 0, apart, is_warm_up and 0 or invalid}
