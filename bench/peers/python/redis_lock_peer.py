"""Locks by python-redis-lock, a thread a caller.

What it is asked and answers is described in bench/src/peer/mod.rs.
"""

import sys
import threading
import time

import redis
import redis_lock

from peer import on_threads, serve

TTL = 30
SETTLE = 1.5
CONNECTIONS = 600


class Peer:
    def __init__(self, url):
        self.client = redis.Redis.from_url(url, max_connections=CONNECTIONS)
        self.held = None
        self.threads = []
        self.released = 0.0
        self.latencies = []

    def pair(self, caller):
        lock = redis_lock.Lock(self.client, f"python-{caller}", expire=TTL)
        if not lock.acquire(blocking=False):
            raise RuntimeError("an uncontended lock was held")
        lock.release()

    def pairs(self, callers, seconds):
        return on_threads(callers, seconds, self.pair)

    def wait(self, waiters):
        self.held = redis_lock.Lock(self.client, "python", expire=TTL)
        if not self.held.acquire(blocking=False):
            raise RuntimeError("somebody holds it")
        self.latencies = []

        def work():
            lock = redis_lock.Lock(self.client, "python", expire=TTL)
            if not lock.acquire(blocking=True):
                raise RuntimeError("not acquired")
            now = time.perf_counter()
            self.latencies.append(round((now - self.released) * 1e6))
            self.released = time.perf_counter()
            lock.release()

        self.threads = [threading.Thread(target=work) for _ in range(waiters)]
        for thread in self.threads:
            thread.start()
        time.sleep(SETTLE)
        return {}

    def hand_offs(self):
        begin = time.perf_counter()
        self.released = begin
        self.held.release()
        for thread in self.threads:
            thread.join()
        seconds = time.perf_counter() - begin
        return {"seconds": seconds, "latencies_us": self.latencies}


def main(url):
    peer = Peer(url)
    serve({"pairs": peer.pairs, "wait": peer.wait, "hand-offs": peer.hand_offs})


main(sys.argv[1])
