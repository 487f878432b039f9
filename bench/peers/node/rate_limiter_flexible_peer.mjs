// Limits by rate-limiter-flexible over ioredis.
// What it is asked and answers is described in bench/src/peer/mod.rs.

import { once } from 'node:events'
import { createInterface } from 'node:readline'

import { Redis } from 'ioredis'
import { RateLimiterRedis } from 'rate-limiter-flexible'

const { hostname: host, port } = new URL(process.argv[2])
const storeClient = new Redis({ host, port: Number(port) })
await once(storeClient, 'ready')
const limiter = new RateLimiterRedis({ storeClient, points: 1_000_000_000, duration: 60 })

async function checks({ callers, seconds }) {
  const took = []
  const start = performance.now()
  const end = start + seconds * 1_000
  const work = async (caller) => {
    for (;;) {
      const begin = performance.now()
      await limiter.consume(`subject-${caller}`)
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

console.log(JSON.stringify({ ready: true }))
for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line)
  console.log(JSON.stringify(await { checks }[request.do](request)))
}
process.exit(0)
