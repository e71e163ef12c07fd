/** The composition root: all wiring, in order, no logic. */
import { Elysia } from 'elysia'
import type { Config } from './config/options.ts'
import type { Store } from './db/open.ts'
import { logCall } from './http/access-log.ts'
import { errorHandler, type Route } from './http/errors.ts'
import { createDocument } from './http/openapi.ts'
import type { Clock } from './lib/clock.ts'
import type { Log } from './lib/log.ts'
import { createCheckToken } from './modules/auth/service.ts'
import { callsController } from './modules/calls/index.ts'
import { ownCallsController } from './modules/calls/own.ts'
import { docsController } from './modules/docs/index.ts'
import { doctorController } from './modules/doctor/index.ts'
import { createExamine } from './modules/doctor/service.ts'
import { healthController, type Readiness } from './modules/health/index.ts'
import { keysController } from './modules/keys/index.ts'
import { createKeys } from './modules/keys/service.ts'
import { usageController } from './modules/usage/index.ts'
import { authenticate } from './proxy/authenticate.ts'
import { createEgressGuard } from './proxy/egress.ts'
import { createHandle } from './proxy/handle.ts'
import { proxyController } from './proxy/index.ts'
import { refused } from './proxy/respond.ts'

export type AppOptions = {
  readonly config: Config
  readonly adminToken: string
  readonly store: Store
  readonly log: Log
  readonly clock: Clock
  readonly readiness: () => Readiness
}

/** Answers every request that the listener hands it; never listens, reads the environment or ends the process. */
export function createApp({ config, adminToken, store, log, clock, readiness }: AppOptions) {
  const checkToken = createCheckToken(adminToken, clock)
  const keys = createKeys(store.keys, clock, config.keyPrefix)
  const handle = createHandle({
    find: store.find,
    ledger: store.ledger,
    guard: createEgressGuard({ mode: config.egress, allow: config.egressAllow }),
    clock,
    chargeOn: config.chargeOn,
    bodyBytesMax: config.proxyBodyBytesMax,
    timeoutMs: config.proxyTimeoutMs,
    idleTimeoutMs: config.proxyIdleTimeoutMs,
    report: logCall(log),
  })

  const holders = {
    authenticate: (headers: Headers) => authenticate(headers, store.find, clock()),
    refuse: refused,
  }
  const examine =
    config.databaseUrl === ':memory:'
      ? async () => store.examine(clock())
      : createExamine(config.databaseUrl)

  const api = new Elysia({ normalize: false })
    .use(errorHandler(log, (): readonly Route[] => app.routes))
    .use(healthController(readiness))
    .use(proxyController)
    .use(keysController(keys, checkToken))
    .use(usageController(keys, store.usage, checkToken, clock))
    .use(callsController(store.calls, (key) => keys.find(key).seq, checkToken))
    .use(ownCallsController(store.calls, holders))
    .use(doctorController(examine, checkToken))
  // The outermost instance decides for all routes. By default Elysia drops unknown fields in silence, and takes a part of
  // the path for the host if that has fewer than four characters.
  const app = new Elysia({ normalize: false, handler: { standardHostname: false } })
    .use(api)
    .use(docsController(createDocument(api)))
  return { handle, api: app }
}
