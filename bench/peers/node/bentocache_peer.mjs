// Get-or-load by bentocache: memory, then Redis, with a bus between processes.
// What it is asked and answers is described in bench/src/peer/mod.rs.

import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

import { BentoCache, bentostore } from 'bentocache'
import { memoryDriver } from 'bentocache/drivers/memory'
import { redisBusDriver, redisDriver } from 'bentocache/drivers/redis'
import { Redis } from 'ioredis'

import { each, measured, serve } from './peer.mjs'

// About 64 MiB of values of 1 KiB.
const MAX_ITEMS = 60_000
// The memory layer keeps its default of serialized values: with `serialize: false`, version 1.6.1
// cannot read back what it has taken over from Redis.

const [url, file] = process.argv.slice(2)
const workload = JSON.parse(readFileSync(file, 'utf8'))
const { hostname: host, port } = new URL(url)
const connection = new Redis({ host, port: Number(port), enableAutoPipelining: true })
await once(connection, 'ready')

const cache = new BentoCache({
  default: 'tiered',
  stores: {
    tiered: bentostore({ prefix: 'bentocache', ttl: '5m' })
      .useL1Layer(memoryDriver({ maxItems: MAX_ITEMS }))
      .useL2Layer(redisDriver({ connection }))
      .useBus(redisBusDriver({ connection: { host, port: Number(port) } })),
  },
})

let loads = 0
let nextCold = 0

async function ask(key, loadMs) {
  const value = await cache.getOrSet({
    key,
    factory: async () => {
      loads += 1
      await sleep(loadMs)
      return { ...workload.document, id: key }
    },
  })
  if (value.id !== key) throw new Error(`${key} holds the value of ${value.id}`)
}

async function warmUp(callers, loadMs) {
  await each(callers, async (caller) => {
    for (let key = caller; key < workload.keys; key += callers) await ask(`user-${key}`, loadMs)
  })
}

async function round({ callers, seconds, load_ms: loadMs }) {
  await warmUp(callers, loadMs)
  loads = 0
  const { draws } = workload
  const steps = Array.from({ length: callers }, (_, caller) =>
    Math.floor((caller * draws.length) / callers),
  )
  const figures = await measured(callers, seconds, (caller) => {
    const draw = draws[steps[caller]++ % draws.length]
    return ask(draw < 0 ? `cold-${nextCold++}` : `user-${draw}`, loadMs)
  })
  return { ...figures, loads }
}

async function stampede({ callers, key, load_ms: loadMs }) {
  loads = 0
  const latencies = []
  await each(callers, async () => {
    const begin = performance.now()
    await ask(key, loadMs)
    latencies.push(Math.round((performance.now() - begin) * 1_000))
  })
  return { loads, latencies_us: latencies }
}

await serve({ round, stampede })
