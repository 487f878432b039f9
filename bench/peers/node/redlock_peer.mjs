// Locks by redlock over ioredis.
// What it is asked and answers is described in bench/src/peer/mod.rs.

import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'

import { Redis } from 'ioredis'
import Redlock from 'redlock'

const TTL = 30_000
const SETTLE = 1_500

const { hostname: host, port } = new URL(process.argv[2])
const redis = new Redis({ host, port: Number(port) })
await once(redis, 'ready')
// Its default gives up after ten times; pause and jitter are its own.
const redlock = new Redlock([redis], { retryCount: -1 })
let waiting = []
let held
let released = 0
const latencies = []

async function pairs({ callers, seconds }) {
  const took = []
  const start = performance.now()
  const end = start + seconds * 1_000
  const work = async (caller) => {
    for (;;) {
      const begin = performance.now()
      const lock = await redlock.lock(`redlock-${caller}`, TTL)
      await lock.unlock()
      const now = performance.now()
      took.push(now - begin)
      if (now >= end) return
    }
  }
  await Promise.all(Array.from({ length: callers }, (_, caller) => work(caller)))
  const elapsed = performance.now() - start
  const sorted = Float64Array.from(took).sort()
  const quantile = (share) => sorted[Math.floor(share * (sorted.length - 1))] * 1_000
  return {
    per_second: (sorted.length / elapsed) * 1_000,
    p50_us: quantile(0.5),
    p99_us: quantile(0.99),
  }
}

async function wait({ waiters }) {
  held = await redlock.lock('redlock', TTL)
  latencies.length = 0
  waiting = Array.from({ length: waiters }, async () => {
    const lock = await redlock.lock('redlock', TTL)
    const now = performance.now()
    latencies.push(Math.round((now - released) * 1_000))
    released = performance.now()
    await lock.unlock()
  })
  await sleep(SETTLE)
  return {}
}

async function handOffs() {
  const begin = performance.now()
  released = begin
  await held.unlock()
  await Promise.all(waiting)
  return { seconds: (performance.now() - begin) / 1_000, latencies_us: latencies }
}

console.log(JSON.stringify({ ready: true }))
for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line)
  const work = { pairs, wait, 'hand-offs': handOffs }[request.do]
  console.log(JSON.stringify(await work(request)))
}
process.exit(0)
