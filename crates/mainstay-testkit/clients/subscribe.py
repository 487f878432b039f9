"""Prints each message of a channel as a line. Arguments: URL CHANNEL.

Prints `ready` once the subscription is acknowledged.
"""

import sys

import redis

url, channel = sys.argv[1:]
subscription = redis.Redis.from_url(url, decode_responses=True).pubsub()
subscription.subscribe(channel)

for message in subscription.listen():
    if message["type"] == "subscribe":
        print("ready", flush=True)
    elif message["type"] == "message":
        print(message["data"], flush=True)
