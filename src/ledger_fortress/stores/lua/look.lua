-- One account as it is at this moment. KEYS[1] is its hash, the others are those beside it.
-- Returns its row, and all values of each of the others.
local found = {redis.call('HGET', KEYS[1], 'row')}
for number = 2, #KEYS do
  found[number] = redis.call('HVALS', KEYS[number])
end
return found
