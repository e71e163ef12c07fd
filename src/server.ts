/**
 * Starts the service in order, answers signals, and stops without dropping a call. The order of a stop: refuse what is new,
 * let the running finish, write what is to be written, close the database.
 */
import { createApp } from './app.ts'
import type { Environment } from './config/environment.ts'
import { createLiveConfig, type LiveConfig } from './config/live.ts'
import type { Config } from './config/options.ts'
import { readTracing } from './config/tracing.ts'
import { controlSocketPath, openDataDir } from './data-dir/directory.ts'
import { openSecretKeys } from './data-dir/secret-key.ts'
import { startHousekeeping } from './db/housekeeping.ts'
import { openStore, type Store } from './db/open.ts'
import { createDispatch, type Dispatch } from './dispatch.ts'
import { clientAddress } from './http/request/client-address.ts'
import { createSteadyClock, systemClock } from './lib/clock.ts'
import { createLog, type Log, type ServerLog } from './lib/log.ts'
import { callsMax } from './lib/process/connections.ts'
import { VERSION } from './lib/process/version.ts'
import { createSealer } from './lib/seal.ts'
import { type Listeners, listen } from './listeners.ts'
import { type Credentials, readCredentials, startReloading } from './reload.ts'

/** A thousand calls see their abort within a tenth of it; what is left even so is settled at the next start. */
const CUT_OFF_MS = 250

/** What a second signal still waits for: the thread to end, and the last settlements to be written. */
const AT_ONCE_MS = 1_000

type Start = {
  readonly config: Config
  /** Where `config` comes from, to be read again. */
  readonly env: Environment
  readonly warnings: readonly string[]
}

/** Resolves with the exit code once everything is closed. Throws an Error with one sentence if it cannot start. */
export async function runServer(start: Start): Promise<number> {
  const log = createLog(start.config.logLevel, start.config.logFormat)
  try {
    return await serve(start, log)
  } finally {
    await log.flush()
  }
}

async function serve({ config, env, warnings }: Start, log: ServerLog): Promise<number> {
  // Unheard it would end the process; the settings are just being read.
  process.on('SIGHUP', () => {})
  // Whatever is created from here on is for this user alone: the database, its WAL, the token, the lock.
  process.umask(0o077)
  const settings = createLiveConfig(env, config)
  const { warning } = openDataDir(config.dataDir)
  for (const text of [...warnings, ...(warning ? [warning] : [])]) log.warn(text)
  if (callsMax(env) < config.proxyInFlightMax)
    log.warn({ calls: callsMax(env) }, 'too few open files are allowed for PROXY_IN_FLIGHT_MAX')

  let credentials = readCredentials(config)
  const tracing = await openTracing(env, log)
  const store = await open(settings, log)
  const service = { draining: false }
  const { handle, countRefusal, upstreams, backups, api } = await createApp({
    settings: settings.current,
    adminToken: () => credentials.adminToken.token,
    store,
    log,
    clock: systemClock,
    readiness: () =>
      service.draining ? 'draining' : store.isFailing() ? 'storage_unavailable' : 'ready',
    tracer: tracing?.tracer ?? null,
    callsMax: callsMax(env),
    certificateExpiresAt: () => credentials.tls?.expiresAt ?? null,
  })
  const dispatch = createDispatch({
    handle,
    upstreams,
    api: (request) => api.fetch(request),
    routes: api.routes,
    isDraining: () => service.draining,
    hasAdminListener: config.adminListen !== undefined,
    countRefusal,
    log,
  })
  const listeners = listenFor(settings, credentials, dispatch)

  const stopReloading = startReloading({
    settings,
    credentials,
    log,
    onChange(found) {
      const { tls } = found
      if (tls !== null && !Bun.deepEquals(tls, credentials.tls)) listeners.setTls(tls)
      credentials = found
      log.setLevel(settings.current().logLevel)
      backups.reschedule()
    },
  })
  const stopChores = startChores(store, backups, log)
  const stopped = untilStopped({
    settings,
    log,
    listeners,
    service,
    store,
    async stopChores() {
      stopReloading()
      await stopChores()
      await tracing?.stop()
    },
  })
  // Last: whoever reads this may send a signal at once.
  welcome(listeners, credentials, log)
  return await stopped
}

/** Loaded only if it is wanted: it is larger than everything else that a start needs. */
async function openTracing(env: Environment, log: Log) {
  const { settings } = readTracing(env)
  if (settings === null) return null
  const { startTracing } = await import('./tracing/otlp.ts')
  return startTracing(settings, log)
}

async function open({ current }: LiveConfig, log: Log): Promise<Store> {
  const config = current()
  const store = await openStore(
    {
      url: config.databaseUrl,
      durability: config.durability,
      retention() {
        const { callsRetentionDays: callsDays, callsMax, usageRetentionDays: usageDays } = current()
        return { callsDays, callsMax, usageDays }
      },
      events: {
        onFailure: (error) =>
          log.error({ err: error }, 'the database fails; calls are refused until it recovers'),
        onRecovery: () => log.info('the database has recovered'),
        onRejected: (error) =>
          log.error({ err: error }, 'the database rejected one ledger entry; it is given up'),
      },
      clock: createSteadyClock(systemClock, () => performance.now()),
      sealer: createSealer(openSecretKeys(config)),
    },
    systemClock(),
  )
  if (store.migrated.length > 0) log.info({ migrations: store.migrated }, 'database migrated')
  if (store.interrupted > 0)
    log.warn({ calls: store.interrupted }, 'calls were cut off by the last stop; they stay charged')
  return store
}

function listenFor({ current }: LiveConfig, { tls }: Credentials, dispatch: Dispatch): Listeners {
  const { host, port, adminListen, metricsListen, dataDir } = current()
  return listen({
    main: { host, port },
    admin: adminListen,
    metrics: metricsListen,
    controlPath: controlSocketPath(dataDir),
    tls,
    dispatch,
    clientOf: (peer, headers) => clientAddress(peer, headers, current().trustedProxies),
  })
}

function welcome({ url, others, controlPath }: Listeners, { adminToken }: Credentials, log: Log) {
  log.info(
    { url: url.href, version: VERSION, ...others },
    `quota-proxy ${VERSION} is listening on ${url.href}`,
  )
  if (controlPath === null)
    log.warn('the path of the data directory is too long for a socket: commands need --url')
  const { source, path } = adminToken
  if (source === 'generated') log.info({ path }, `the admin token is new; it is in ${path}`)
}

/**
 * Starts what goes on beside the calls, after the first answer is possible. Returns a function that stops it all and writes
 * what is left.
 */
function startChores(
  store: Store,
  backups: { start(): () => Promise<void> },
  log: Log,
): () => Promise<void> {
  const stopCheckpoints = store.startCheckpoints((error) =>
    log.warn({ error }, 'the WAL could not be folded into the database; trying again'),
  )
  const stopReader = store.startReader()
  const stopHousekeeping = startHousekeeping(store.prune, systemClock, (error) =>
    log.warn({ err: error }, 'old entries could not be pruned; trying again in a minute'),
  )
  const stopBackups = backups.start()
  return async () => {
    await stopHousekeeping()
    await stopBackups()
    await store.ledger.flush()
    await Promise.all([stopReader(), stopCheckpoints()])
  }
}

type Running = {
  readonly settings: LiveConfig
  readonly log: ServerLog
  readonly listeners: Listeners
  readonly service: { draining: boolean }
  readonly store: Store
  readonly stopChores: () => Promise<void>
}

/** A first signal stops in order, a second one at once. Resolves with the exit code. */
function untilStopped(running: Running): Promise<number> {
  const { settings, log, listeners, service, store, stopChores } = running
  async function drain(signal: string): Promise<void> {
    log.info({ signal, calls: listeners.pending() }, 'stopping; calls in flight may finish')
    const drained = await Promise.race([
      listeners.stop(false).then(() => true),
      Bun.sleep(settings.current().shutdownGraceMs),
    ])
    if (!drained)
      log.warn({ calls: listeners.pending() }, 'some calls took too long; they are cut off')
    await listeners.stop(true)
    // Calls that were cut off notice it in the turns that follow, and are only then settled.
    if (!drained) await Bun.sleep(CUT_OFF_MS)
  }

  return new Promise((resolve) => {
    const finish = async (exitCode: number) => {
      try {
        await store.close()
      } finally {
        log.info('stopped')
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
