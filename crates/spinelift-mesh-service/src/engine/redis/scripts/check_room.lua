-- Whether there is room for one more job of a client.
return no_room(ARGV[1], 1, tonumber(ARGV[2]), tonumber(ARGV[3])) or { 'room' }
