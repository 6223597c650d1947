-- Renews the leases of running requests. One that has ended meanwhile is not brought back.
--
-- KEYS: for each request, where it is kept. ARGV: seconds of a lease, then for each request its id

local clock = redis.call('TIME')
local now = clock[1] + clock[2] / 1000000
local lease = tonumber(ARGV[1])

for i, key in ipairs(KEYS) do
  redis.call('ZADD', key, 'XX', string.format('%.17g', now + lease), ARGV[i + 1])
  redis.call('PEXPIRE', key, math.ceil(lease * 1000))
end
return #KEYS
