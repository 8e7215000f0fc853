-- The fields of what has this name.
return record(P .. ARGV[1])
