"""Takes and releases locks the way redis-py programs commonly do.

Arguments: URL. Reads `acquire NAME TTL_MS`, `release NAME TOKEN` and `quit`.
"""

import sys
import uuid

import redis

RELEASE = """
if redis.call("GET", KEYS[1]) == ARGV[1] then
    return redis.call("DEL", KEYS[1])
else
    return 0
end
"""

client = redis.Redis.from_url(sys.argv[1], decode_responses=True)


def acquire(name: str, ttl_ms: str) -> str:
    token = str(uuid.uuid4())
    if client.set(f"lock:{name}", token, nx=True, px=int(ttl_ms)):
        return f"ok {token}"
    return "held"


def release(name: str, token: str) -> str:
    return str(client.eval(RELEASE, 1, f"lock:{name}", token))


for line in sys.stdin:
    match line.split():
        case ["acquire", name, ttl_ms]:
            print(acquire(name, ttl_ms), flush=True)
        case ["release", name, token]:
            print(release(name, token), flush=True)
        case ["quit"]:
            break
        case _:
            sys.exit(f"unknown request: {line!r}")
