// Keeps sessions the way ioredis programs commonly do.
//
// Arguments: URL. Reads `create USER TENANT ROLE`, `read ID`, `delete-all USER`, `quit`.

import { randomUUID } from "node:crypto";
import { createRequire } from "node:module";
import path from "node:path";
import readline from "node:readline";

// NODE_PATH does not apply to modules, so ioredis is required from there.
const modules = process.env.MAINSTAY_TEST_NODE_MODULES;
const Redis = createRequire(path.join(modules, "x.js"))("ioredis");

const SESSION_TTL_SECONDS = 24 * 3600;

const [url] = process.argv.slice(2);
const client = new Redis(url);

async function create(user, tenant, role) {
  const session = {
    id: randomUUID(),
    user_id: user,
    tenant_id: tenant,
    role,
    expires_at: new Date(Date.now() + SESSION_TTL_SECONDS * 1000),
  };
  const replies = await client
    .pipeline()
    .set(`session:${session.id}`, JSON.stringify(session), "EX", SESSION_TTL_SECONDS)
    .sadd(`user:${user}:sessions`, session.id)
    .expire(`user:${user}:sessions`, SESSION_TTL_SECONDS)
    .exec();
  for (const [error] of replies) {
    if (error) throw error;
  }
  return session.id;
}

async function read(id) {
  const data = await client.get(`session:${id}`);
  if (data === null) return "none";
  const session = JSON.parse(data);
  const ends = new Date(session.expires_at).getTime();
  return [session.id, session.user_id, session.tenant_id, session.role, ends].join(" ");
}

async function deleteAll(user) {
  const ids = await client.smembers(`user:${user}:sessions`);
  await client.del(...ids.map((id) => `session:${id}`), `user:${user}:sessions`);
  return "ok";
}

for await (const line of readline.createInterface({ input: process.stdin })) {
  const [request, ...words] = line.split(" ");
  if (request === "create") {
    console.log(await create(...words));
  } else if (request === "read") {
    console.log(await read(...words));
  } else if (request === "delete-all") {
    console.log(await deleteAll(...words));
  } else if (request === "quit") {
    break;
  } else {
    throw new Error(`unknown request: ${line}`);
  }
}
client.disconnect();
