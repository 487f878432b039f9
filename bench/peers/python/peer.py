"""What the peers that call from threads have in common: the loop that is measured, and the
conversation on standard input and output that bench/src/peer/mod.rs describes.
"""

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor


def on_threads(callers, seconds, call):
    """Calls in a loop on a thread a caller, and at least once; a call gets its caller's number."""
    took = []
    start = time.perf_counter()
    end = start + seconds

    def work(caller):
        while True:
            begin = time.perf_counter()
            call(caller)
            now = time.perf_counter()
            took.append(now - begin)
            if now >= end:
                return

    with ThreadPoolExecutor(callers) as threads:
        # Whoever fails fails the round.
        list(threads.map(work, range(callers)))
    elapsed = time.perf_counter() - start
    took.sort()

    def quantile(share):
        return took[int(share * (len(took) - 1))] * 1e6

    return {
        "per_second": len(took) / elapsed,
        "p50_us": quantile(0.5),
        "p99_us": quantile(0.99),
    }


def serve(works):
    """Answers requests by the works of these names, until there are no more."""
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        work = works[request.pop("do")]
        print(json.dumps(work(**request)), flush=True)
