/** The composition root: all wiring, in order, no logic. */
import { Elysia } from 'elysia'
import type { Config } from './config/options.ts'
import type { Store } from './db/open.ts'
import { logCall } from './http/access-log.ts'
import { errorHandler } from './http/errors.ts'
import { createDocument } from './http/openapi.ts'
import type { Clock } from './lib/clock.ts'
import type { Log } from './lib/log.ts'
import { createCheckToken } from './modules/auth/service.ts'
import { docsController } from './modules/docs/index.ts'
import { healthController, type Readiness } from './modules/health/index.ts'
import { keysController } from './modules/keys/index.ts'
import { createKeys } from './modules/keys/service.ts'
import { usageController } from './modules/usage/index.ts'
import { createEgressGuard } from './proxy/egress.ts'
import { createHandle } from './proxy/handle.ts'
import { proxyController } from './proxy/index.ts'

export type AppOptions = {
  readonly config: Config
  readonly adminToken: string
  readonly store: Store
  readonly log: Log
  readonly clock: Clock
  readonly ipOf: (request: Request) => string
  readonly readiness: () => Readiness
}

/** Answers every request that the listener hands it; never listens, reads the environment or ends the process. */
export function createApp({ config, adminToken, store, log, clock, ipOf, readiness }: AppOptions) {
  const checkToken = createCheckToken(adminToken, ipOf, clock)
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

  const api = new Elysia({ normalize: false })
    .use(errorHandler(log))
    .use(healthController(readiness))
    .use(proxyController(handle, ipOf))
    .use(keysController(keys, checkToken))
    .use(usageController(keys, store.usage, checkToken, clock))
  return new Elysia().use(api).use(docsController(createDocument(api)))
}
