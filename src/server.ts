/**
 * The only listener: starts the service, names every request, answers signals, and stops without dropping a call. The
 * order of a stop: refuse what is new, let the running finish, write what is to be written, close the database.
 */
import { createApp } from './app.ts'
import { openAdminToken, openDataDir } from './config/admin-token.ts'
import type { Config } from './config/options.ts'
import { startHousekeeping } from './db/housekeeping.ts'
import { openStore } from './db/open.ts'
import { createDispatch } from './dispatch.ts'
import { systemClock } from './lib/clock.ts'
import { createLog } from './lib/log.ts'
import { VERSION } from './lib/version.ts'

/** How long a connection may stay open without a request, or in the middle of its headers. */
const IDLE_S = 120

/** Above every limit of our own, which are the ones that answer with a reason; Bun's answer has none. */
const REQUEST_BYTES_MAX = 2 * 1024 ** 3

/** A thousand calls see their abort within a tenth of it; what is left even so is settled at the next start. */
const CUT_OFF_MS = 250

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
  const store = openStore(
    {
      url: config.databaseUrl,
      durability: config.durability,
      retention: {
        callsDays: config.callsRetentionDays,
        callsMax: config.callsMax,
        usageDays: config.usageRetentionDays,
      },
      events: {
        onFailure: (error) =>
          log.error({ err: error }, 'the database fails; calls are refused until it recovers'),
        onRecovery: () => log.info('the database has recovered'),
        onRejected: (error) =>
          log.error({ err: error }, 'the database rejected one ledger entry; it is given up'),
      },
    },
    systemClock(),
  )
  if (store.migrated.length > 0) log.info({ migrations: store.migrated }, 'database migrated')
  if (store.interrupted > 0)
    log.warn({ calls: store.interrupted }, 'calls were cut off by the last stop; they stay charged')

  let draining = false
  const { handle, api } = createApp({
    config,
    adminToken: token.token,
    store,
    log,
    clock: systemClock,
    readiness: () =>
      draining ? 'draining' : store.ledger.failing ? 'storage_unavailable' : 'ready',
  })
  const dispatch = createDispatch({
    handle,
    api: (request) => api.fetch(request),
    routes: api.routes,
    isDraining: () => draining,
    log,
  })

  const server = Bun.serve({
    hostname: config.host,
    port: config.port,
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
      return dispatch(request, listener.requestIP(request)?.address ?? '')
    },
  })

  log.info(
    { url: server.url.href, version: VERSION },
    `quota-proxy ${VERSION} is listening on ${server.url.href}`,
  )
  if (token.source === 'generated')
    log.info({ path: token.path }, `the admin token is new; it is in ${token.path}`)
  // After the first answer is possible: a thread takes longer to start than everything before it.
  const stopCheckpoints = store.startCheckpoints((error) =>
    log.warn({ error }, 'the WAL could not be folded into the database; trying again'),
  )
  const stopHousekeeping = startHousekeeping(store.prune, systemClock, (error) =>
    log.warn({ err: error }, 'old entries could not be pruned; trying again in a minute'),
  )
  return await stopped()

  function stopped(): Promise<number> {
    return new Promise((resolve) => {
      const stop = async (signal: string) => {
        if (draining) {
          log.warn({ signal }, 'stopping at once')
          return finish(1)
        }
        draining = true
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
        stopHousekeeping()
        await store.ledger.flush()
        await stopCheckpoints()
        await finish(0)
      }
      const finish = async (exitCode: number) => {
        try {
          store.close()
        } finally {
          log.info('stopped')
          await log.flush()
          resolve(exitCode)
        }
      }
      for (const signal of ['SIGTERM', 'SIGINT'] as const)
        process.on(signal, () => void stop(signal))
    })
  }
}
