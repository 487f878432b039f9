// Sessions by express-session and connect-redis, in an app of Express.
// What it is asked and answers is described in bench/src/peer/mod.rs.

import { once } from 'node:events'

import { RedisStore } from 'connect-redis'
import express from 'express'
import session from 'express-session'
import { createClient } from 'redis'

import { serve } from './peer.mjs'

const client = createClient({ url: process.argv[2] })
await client.connect()

process.env.NODE_ENV = 'production'
const app = express()
app.use(
  session({
    store: new RedisStore({ client }),
    secret: 'a key of a benchmark for signatures',
    // As connect-redis advises: what has not changed is touched in place of being written.
    resave: false,
    saveUninitialized: false,
  }),
)

app.post('/log-in/:user', (request, response) => {
  const { user } = request.params
  const claims = { tenant: 'acme-manufacturing-europe', role: 'administrator', theme: 'dark' }
  Object.assign(request.session, { user, ...claims })
  response.json({})
})

app.get('/me', (request, response) => {
  const { user, tenant, role, theme } = request.session
  if (user === undefined) return response.sendStatus(401)
  return response.json({ user, tenant, role, theme })
})

const server = app.listen(0, '127.0.0.1')
// Connections wait while other contestants have their turns.
server.keepAliveTimeout = 0
await once(server, 'listening')

await serve({ listen: () => ({ port: server.address().port }) })
