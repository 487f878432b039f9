// Limits by rate-limiter-flexible over ioredis.
// What it is asked and answers is described in bench/src/peer/mod.rs.

import { once } from 'node:events'

import { Redis } from 'ioredis'
import { RateLimiterRedis } from 'rate-limiter-flexible'

import { measured, serve } from './peer.mjs'

const { hostname: host, port } = new URL(process.argv[2])
const storeClient = new Redis({ host, port: Number(port) })
await once(storeClient, 'ready')
const limiter = new RateLimiterRedis({ storeClient, points: 1_000_000_000, duration: 60 })

function checks({ callers, seconds }) {
  return measured(callers, seconds, (caller) => limiter.consume(`subject-${caller}`))
}

await serve({ checks })
