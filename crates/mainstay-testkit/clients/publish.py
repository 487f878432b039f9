"""Publishes each line of standard input. Arguments: URL CHANNEL."""

import sys

import redis

url, channel = sys.argv[1:]
client = redis.Redis.from_url(url)

for line in sys.stdin:
    client.publish(channel, line.removesuffix("\n"))
