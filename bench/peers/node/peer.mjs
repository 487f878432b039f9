// What the peers have in common: the loop that is measured, and the conversation on standard input
// and output that bench/src/peer/mod.rs describes.

import { createInterface } from 'node:readline'

// Calls in a loop for each caller, and at least once; a call gets its caller's number.
export async function measured(callers, seconds, call) {
  const took = []
  const start = performance.now()
  const end = start + seconds * 1_000
  await each(callers, async (caller) => {
    for (;;) {
      const begin = performance.now()
      await call(caller)
      const now = performance.now()
      took.push(now - begin)
      if (now >= end) return
    }
  })
  const elapsed = performance.now() - start
  const sorted = Float64Array.from(took).sort()
  const quantile = (share) => sorted[Math.floor(share * (sorted.length - 1))] * 1_000
  return {
    calls: sorted.length,
    per_second: (sorted.length / elapsed) * 1_000,
    p50_us: quantile(0.5),
    p99_us: quantile(0.99),
  }
}

export function each(callers, work) {
  return Promise.all(Array.from({ length: callers }, (_, caller) => work(caller)))
}

// Answers requests by the works of these names, and ends the process when there are no more.
export async function serve(works) {
  console.log(JSON.stringify({ ready: true }))
  for await (const line of createInterface({ input: process.stdin })) {
    const request = JSON.parse(line)
    console.log(JSON.stringify(await works[request.do](request)))
  }
  process.exit(0)
}
