// Locks by redlock over ioredis.
// What it is asked and answers is described in bench/src/peer/mod.rs.

import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'

import { Redis } from 'ioredis'
import Redlock from 'redlock'

import { measured, serve } from './peer.mjs'

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

function pairs({ callers, seconds }) {
  return measured(callers, seconds, async (caller) => {
    const lock = await redlock.lock(`redlock-${caller}`, TTL)
    await lock.unlock()
  })
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

await serve({ pairs, wait, 'hand-offs': handOffs })
