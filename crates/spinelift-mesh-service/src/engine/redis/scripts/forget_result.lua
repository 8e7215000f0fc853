-- Takes a result whose object is missing out of the cache.
uncache(ARGV[1])
return 0
