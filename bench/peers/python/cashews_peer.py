"""Get-or-load by cashews: Redis with its client-side cache.

What it is asked and answers is described in bench/src/peer/mod.rs. With `lock` as the last
argument, loads are locked across processes.
"""

import asyncio
import json
import sys
import time

from cashews import Cache

CONNECTIONS = 64


class Peer:
    def __init__(self, url, workload, lock):
        self.workload = workload
        self.loads = 0
        self.next_cold = 0
        self.load_seconds = 0.0
        self.cache = Cache()
        # Errors are errors, and not misses.
        self.cache.setup(
            url,
            client_side=True,
            suppress=False,
            max_connections=CONNECTIONS,
            socket_timeout=10,
        )
        decorate = self.cache(ttl="5m", key="profile:{key}", lock=lock)
        self.get_or_load = decorate(self.load)

    async def load(self, key):
        self.loads += 1
        await asyncio.sleep(self.load_seconds)
        return {**self.workload["document"], "id": key}

    async def ask(self, key):
        value = await self.get_or_load(key=key)
        if value["id"] != key:
            raise RuntimeError(f"{key} holds the value of {value['id']}")

    async def warm_up(self, callers):
        async def work(caller):
            for key in range(caller, self.workload["keys"], callers):
                await self.ask(f"user-{key}")

        await asyncio.gather(*map(work, range(callers)))

    async def round(self, callers, seconds, load_ms):
        self.load_seconds = load_ms / 1_000
        await self.warm_up(callers)
        self.loads = 0
        latencies = []
        draws = self.workload["draws"]
        start = time.perf_counter()
        end = start + seconds

        async def work(caller):
            step = caller * len(draws) // callers
            while True:
                draw = draws[step % len(draws)]
                step += 1
                if draw < 0:
                    key = f"cold-{self.next_cold}"
                    self.next_cold += 1
                else:
                    key = f"user-{draw}"
                begin = time.perf_counter()
                await self.ask(key)
                now = time.perf_counter()
                latencies.append(now - begin)
                if now >= end:
                    return

        await asyncio.gather(*map(work, range(callers)))
        elapsed = time.perf_counter() - start
        latencies.sort()

        def quantile(share):
            return latencies[int(share * (len(latencies) - 1))] * 1e6

        return {
            "calls": len(latencies),
            "loads": self.loads,
            "per_second": len(latencies) / elapsed,
            "p50_us": quantile(0.5),
            "p99_us": quantile(0.99),
        }

    async def stampede(self, callers, key, load_ms):
        self.load_seconds = load_ms / 1_000
        self.loads = 0

        async def work():
            begin = time.perf_counter()
            await self.ask(key)
            return round((time.perf_counter() - begin) * 1e6)

        latencies = await asyncio.gather(*(work() for _ in range(callers)))
        return {"loads": self.loads, "latencies_us": latencies}


async def main(url, file, *options):
    with open(file, encoding="utf-8") as opened:
        workload = json.load(opened)
    peer = Peer(url, workload, lock="lock" in options)
    works = {"round": peer.round, "stampede": peer.stampede}
    await peer.cache.init()
    print(json.dumps({"ready": True}), flush=True)
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        request = json.loads(line)
        work = works[request.pop("do")]
        print(json.dumps(await work(**request)), flush=True)
    await peer.cache.close()


asyncio.run(main(*sys.argv[1:]))
