"""Millions of photos: shards in, shards out, on as many processes and machines as there are."""
