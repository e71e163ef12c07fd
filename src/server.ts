/**
 * The only listener: starts the service, names every request, answers signals, and stops without dropping a call. The
 * order of a stop: refuse what is new, let the running finish, write what is to be written, close the database.
 */
import { createApp } from './app.ts'
import { openAdminToken, openDataDir } from './config/admin-token.ts'
import type { Config } from './config/options.ts'
import { openSecretKeys } from './config/secret-key.ts'
import { startHousekeeping } from './db/housekeeping.ts'
import { openStore, type Store } from './db/open.ts'
import { createDispatch, type Dispatch } from './dispatch.ts'
import { clientAddress } from './http/client-address.ts'
import { systemClock } from './lib/clock.ts'
import { createLog, type Log } from './lib/log.ts'
import { createSealer } from './lib/seal.ts'
import { VERSION } from './lib/version.ts'
import { type Session, sessions } from './proxy/send/websocket.ts'

/** How long a connection may stay open without a request, or in the middle of its headers. */
const IDLE_S = 120

/** Above every limit of our own, which are the ones that answer with a reason; Bun's answer has none. */
const REQUEST_BYTES_MAX = 2 * 1024 ** 3

/** A thousand calls see their abort within a tenth of it; what is left even so is settled at the next start. */
const CUT_OFF_MS = 250

/** What a second signal still waits for: the thread to end, and the last settlements to be written. */
const AT_ONCE_MS = 1_000

/** Resolves with the exit code once everything is closed. Throws an Error with one sentence if it cannot start. */
export async function runServer({
  config,
  warnings,
}: {
  config: Config
  warnings: readonly string[]
}): Promise<number> {
  // Whatever is created from here on is for this user alone: the database, its WAL, the token, the lock.
  process.umask(0o077)
  const log = createLog(config.logLevel, config.logFormat)
  const { warning } = openDataDir(config.dataDir)
  for (const text of [...warnings, ...(warning ? [warning] : [])]) log.warn(text)

  const token = openAdminToken({ config })
  const store = open(config, log)
  const service = { draining: false }
  const { handle, upstreams, api } = createApp({
    config,
    adminToken: token.token,
    store,
    log,
    clock: systemClock,
    readiness: () =>
      service.draining ? 'draining' : store.ledger.failing ? 'storage_unavailable' : 'ready',
  })
  const dispatch = createDispatch({
    handle,
    upstreams,
    api: (request) => api.fetch(request),
    routes: api.routes,
    isDraining: () => service.draining,
    log,
  })
  const server = listen(config, dispatch)

  log.info(
    { url: server.url.href, version: VERSION },
    `quota-proxy ${VERSION} is listening on ${server.url.href}`,
  )
  if (token.source === 'generated')
    log.info({ path: token.path }, `the admin token is new; it is in ${token.path}`)
  const stopChores = startChores(store, log)
  return await untilStopped({ config, log, server, service, store, stopChores })
}

function open(config: Config, log: Log): Store {
  const { callsRetentionDays: callsDays, callsMax, usageRetentionDays: usageDays } = config
  const store = openStore(
    {
      url: config.databaseUrl,
      durability: config.durability,
      retention: { callsDays, callsMax, usageDays },
      events: {
        onFailure: (error) =>
          log.error({ err: error }, 'the database fails; calls are refused until it recovers'),
        onRecovery: () => log.info('the database has recovered'),
        onRejected: (error) =>
          log.error({ err: error }, 'the database rejected one ledger entry; it is given up'),
      },
      sealer: createSealer(openSecretKeys(config)),
    },
    systemClock(),
  )
  if (store.migrated.length > 0) log.info({ migrations: store.migrated }, 'database migrated')
  if (store.interrupted > 0)
    log.warn({ calls: store.interrupted }, 'calls were cut off by the last stop; they stay charged')
  return store
}

function listen({ host, port, trustedProxies }: Config, dispatch: Dispatch) {
  return Bun.serve<Session>({
    hostname: host,
    port,
    // A second process must fail to listen, not silently share the port.
    reusePort: false,
    development: false,
    // Bun's answer to an uncaught error would show the source; ours shows a request id.
    error: () => new Response(null, { status: 500 }),
    maxRequestBodySize: REQUEST_BYTES_MAX,
    idleTimeout: IDLE_S,
    fetch: (request, listener) => {
      // Quiet streams are never cut here: the data path keeps its own deadlines.
      listener.timeout(request, 0)
      const peer = listener.requestIP(request)?.address ?? ''
      const ip = clientAddress(peer, request.headers, trustedProxies)
      return dispatch(request, ip, (data, headers) => listener.upgrade(request, { data, headers }))
    },
    websocket: sessions,
  })
}

/**
 * What goes on beside the calls. Begun after the first answer is possible: a thread takes longer to start than everything
 * before it. Returns what ends it, with all that is to be written written.
 */
function startChores(store: Store, log: Log): () => Promise<void> {
  const stopCheckpoints = store.startCheckpoints((error) =>
    log.warn({ error }, 'the WAL could not be folded into the database; trying again'),
  )
  const stopHousekeeping = startHousekeeping(store.prune, systemClock, (error) =>
    log.warn({ err: error }, 'old entries could not be pruned; trying again in a minute'),
  )
  return async () => {
    stopHousekeeping()
    await store.ledger.flush()
    await stopCheckpoints()
  }
}

type Stoppable = {
  readonly config: Config
  readonly log: ReturnType<typeof createLog>
  readonly server: Bun.Server<Session>
  readonly service: { draining: boolean }
  readonly store: Store
  readonly stopChores: () => Promise<void>
}

/** A first signal stops in order, a second one at once. Resolves with the exit code. */
function untilStopped({
  config,
  log,
  server,
  service,
  store,
  stopChores,
}: Stoppable): Promise<number> {
  async function drain(signal: string): Promise<void> {
    log.info({ signal, calls: server.pendingRequests }, 'stopping; calls in flight may finish')
    const drained = await Promise.race([
      server.stop().then(() => true),
      Bun.sleep(config.shutdownGraceMs),
    ])
    if (!drained)
      log.warn({ calls: server.pendingRequests }, 'some calls took too long; they are cut off')
    await server.stop(true)
    // Calls that were cut off notice it in the turns that follow, and are only then settled.
    if (!drained) await Bun.sleep(CUT_OFF_MS)
  }

  return new Promise((resolve) => {
    const finish = async (exitCode: number) => {
      try {
        store.close()
      } finally {
        log.info('stopped')
        await log.flush()
        resolve(exitCode)
      }
    }
    const stop = async (signal: string) => {
      if (service.draining) {
        log.warn({ signal }, 'stopping at once')
        // A process that exits while one of its threads lives has hung for ever (seen on Bun 1.4.5).
        await Promise.race([stopChores(), Bun.sleep(AT_ONCE_MS)])
        return finish(1)
      }
      service.draining = true
      await drain(signal)
      await stopChores()
      await finish(0)
    }
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => void stop(signal))
  })
}
