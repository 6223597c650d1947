-- One question to the counters, decided in one step: `buckets.py` in Valkey's words, on Valkey's own clock.
--
-- KEYS: what was taken (a hash), the running requests (a sorted set, by when each lease ends)
-- ARGV: 1 if it must fit, the request's id or nothing, how many may run (0: any number), seconds of a lease,
--       then for each limit: its name, the limit, what is wanted, 1 if it counts by the day
-- Answers: 1 if taken, 1 if too many run, seconds left of the day, then for each limit what is taken of it

local DAY = 86400
local KEPT = DAY + 3600

local clock = redis.call('TIME')
local now = clock[1] + clock[2] / 1000000
local today = math.floor(now / DAY)
local binding, place, most, lease = ARGV[1] == '1', ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])

local function exactly(number)
  return string.format('%.17g', number)
end

local crowded = false
if place ~= '' and most > 0 then
  redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', exactly(now))
  crowded = redis.call('ZCARD', KEYS[2]) >= most
end

local counts = {}
local fits = not crowded
for i = 5, #ARGV, 4 do
  local name, limit, wanted, daily = ARGV[i], tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2]), ARGV[i + 3] == '1'
  local found = redis.call('HMGET', KEYS[1], name .. ':used', name .. ':at')
  local used, at = tonumber(found[1] or 0), tonumber(found[2] or 0)
  if daily then
    if at < today then
      used = 0
    end
    at = math.max(at, today)
  else
    used = math.max(0, used - math.max(0, now - at) * limit / 60)
    at = now
  end
  fits = fits and (wanted <= 0 or used + wanted <= limit)
  counts[#counts + 1] = { name = name, used = used, at = at, wanted = wanted }
end

local taken = fits or not binding
local answer = { taken and 1 or 0, crowded and 1 or 0, exactly(DAY - now % DAY) }
for _, count in ipairs(counts) do
  if taken then
    count.used = math.max(0, count.used + count.wanted)
  end
  -- Even when refused: if this clock was set back, time goes on from here.
  redis.call('HSET', KEYS[1], count.name .. ':used', exactly(count.used), count.name .. ':at', exactly(count.at))
  answer[#answer + 1] = exactly(count.used)
end
if #counts > 0 then
  redis.call('EXPIRE', KEYS[1], KEPT)
end
if taken and place ~= '' and most > 0 then
  redis.call('ZADD', KEYS[2], exactly(now + lease), place)
  redis.call('PEXPIRE', KEYS[2], math.ceil(lease * 1000))
end
return answer
