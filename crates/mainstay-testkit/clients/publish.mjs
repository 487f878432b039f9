// Publishes each line of standard input. Arguments: URL CHANNEL.

import { createRequire } from "node:module";
import path from "node:path";
import readline from "node:readline";

// NODE_PATH does not apply to modules, so ioredis is required from there.
const modules = process.env.MAINSTAY_TEST_NODE_MODULES;
const Redis = createRequire(path.join(modules, "x.js"))("ioredis");

const [url, channel] = process.argv.slice(2);
const client = new Redis(url);

for await (const line of readline.createInterface({ input: process.stdin })) {
  await client.publish(channel, line);
}
client.disconnect();
