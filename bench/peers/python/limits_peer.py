"""Limits by limits, its sliding window counter, a thread a caller.

What it is asked and answers is described in bench/src/peer/mod.rs.
"""

import sys

from limits import RateLimitItemPerMinute
from limits.storage import RedisStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from peer import on_threads, serve

# Its log of single calls would grow with the limit: this is its constant-size window.
LIMIT = RateLimitItemPerMinute(1_000_000_000)


def main(url):
    limiter = SlidingWindowCounterRateLimiter(RedisStorage(url))

    def check(caller):
        if not limiter.hit(LIMIT, f"subject-{caller}"):
            raise RuntimeError("the limit is out of reach")

    def checks(callers, seconds):
        return on_threads(callers, seconds, check)

    serve({"checks": checks})


main(sys.argv[1])
