-- wrk's requests: every one for another tag, at random. wrk --script many-tags.lua URL -- PREFIX COUNT
local prefix, count

function init(args)
  prefix, count = args[1], tonumber(args[2])
end

function request()
  return wrk.format("GET", string.format("%s%06d", prefix, math.random(0, count - 1)))
end
