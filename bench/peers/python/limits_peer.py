"""Limits by limits, its sliding window counter, a thread a caller.

What it is asked and answers is described in bench/src/peer/mod.rs.
"""

import json
import sys
import threading
import time

from limits import RateLimitItemPerMinute
from limits.storage import RedisStorage
from limits.strategies import SlidingWindowCounterRateLimiter

# Its log of single calls would grow with the limit: this is its constant-size window.
LIMIT = RateLimitItemPerMinute(1_000_000_000)


def checks(limiter, callers, seconds):
    took = []
    start = time.perf_counter()
    end = start + seconds

    def work(caller):
        while True:
            begin = time.perf_counter()
            if not limiter.hit(LIMIT, f"subject-{caller}"):
                raise RuntimeError("the limit is out of reach")
            now = time.perf_counter()
            took.append(now - begin)
            if now >= end:
                return

    threads = [threading.Thread(target=work, args=[it]) for it in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    elapsed = time.perf_counter() - start
    took.sort()

    def quantile(share):
        return took[int(share * (len(took) - 1))] * 1e6

    return {
        "per_second": len(took) / elapsed,
        "p50_us": quantile(0.5),
        "p99_us": quantile(0.99),
    }


def main(url):
    limiter = SlidingWindowCounterRateLimiter(RedisStorage(url))
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        works = {"checks": checks}
        work = works[request.pop("do")]
        print(json.dumps(work(limiter, **request)), flush=True)


main(sys.argv[1])
