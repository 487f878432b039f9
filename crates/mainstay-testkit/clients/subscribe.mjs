// Prints each message of a channel as a line. Arguments: URL CHANNEL.
//
// Prints `ready` once the subscription is acknowledged.

import { createRequire } from "node:module";
import path from "node:path";

// NODE_PATH does not apply to modules, so ioredis is required from there.
const modules = process.env.MAINSTAY_TEST_NODE_MODULES;
const Redis = createRequire(path.join(modules, "x.js"))("ioredis");

const [url, channel] = process.argv.slice(2);
const client = new Redis(url);

client.on("message", (_channel, payload) => console.log(payload));
await client.subscribe(channel);
console.log("ready");
