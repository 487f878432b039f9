// Takes and releases locks the way ioredis programs commonly do.
//
// Arguments: URL. Reads `acquire NAME TTL_MS`, `release NAME TOKEN`, `quit`.

import { randomUUID } from "node:crypto";
import { createRequire } from "node:module";
import path from "node:path";
import readline from "node:readline";

// NODE_PATH does not apply to modules, so ioredis is required from there.
const modules = process.env.MAINSTAY_TEST_NODE_MODULES;
const Redis = createRequire(path.join(modules, "x.js"))("ioredis");

const RELEASE = `
if redis.call("GET", KEYS[1]) == ARGV[1] then
    return redis.call("DEL", KEYS[1])
else
    return 0
end
`;

const [url] = process.argv.slice(2);
const client = new Redis(url);

async function acquire(name, ttlMs) {
  const token = randomUUID();
  const set = await client.set(`lock:${name}`, token, "PX", Number(ttlMs), "NX");
  return set === "OK" ? `ok ${token}` : "held";
}

async function release(name, token) {
  return String(await client.eval(RELEASE, 1, `lock:${name}`, token));
}

for await (const line of readline.createInterface({ input: process.stdin })) {
  const [request, name, argument] = line.split(" ");
  if (request === "acquire") {
    console.log(await acquire(name, argument));
  } else if (request === "release") {
    console.log(await release(name, argument));
  } else if (request === "quit") {
    break;
  } else {
    throw new Error(`unknown request: ${line}`);
  }
}
client.disconnect();
