/**
 * Starts the service in order, and keeps it going until a signal ends it. What is opened first is
 * closed last.
 */
import { hostname } from 'node:os'
import { resolve } from 'node:path'
import { type App, createApp } from './app.ts'
import type { Environment } from './config/environment.ts'
import { createLiveConfig, type LiveConfig } from './config/live.ts'
import type { Config } from './config/options.ts'
import { readTracing } from './config/tracing.ts'
import { controlSocketPath, openDataDir } from './data-dir/directory.ts'
import { lockDataDir } from './data-dir/lock.ts'
import { openSecretKeys } from './data-dir/secret-key.ts'
import { startHousekeeping } from './db/housekeeping.ts'
import { openStore, type Store } from './db/open.ts'
import { createDispatch, type Dispatch } from './dispatch.ts'
import { clientAddress } from './http/request/client-address.ts'
import { createSteadyClock, systemClock } from './lib/clock.ts'
import { createLog, type Log, type ServerLog } from './lib/log.ts'
import { callsMax } from './lib/process/connections.ts'
import { IS_BINARY } from './lib/process/self.ts'
import { VERSION } from './lib/process/version.ts'
import { createSealer } from './lib/seal.ts'
import { type Listeners, listen } from './listeners.ts'
import { type Credentials, readCredentials, startReloading } from './reload.ts'
import { type Service, untilStopped } from './shutdown.ts'

type Start = {
  readonly config: Config
  /** Where `config` comes from, to be read again. */
  readonly env: Environment
  readonly warnings: readonly string[]
}

/**
 * Resolves with the exit code once everything is closed. Throws an Error with one sentence if it
 * cannot start.
 */
export async function runServer(start: Start): Promise<number> {
  const log = createLog(start.config.logLevel, start.config.logFormat)
  try {
    return await serve(start, log)
  } finally {
    await log.flush()
  }
}

async function serve(start: Start, log: ServerLog): Promise<number> {
  const { config, env } = start
  // Unheard it would end the process; the settings are just being read.
  process.on('SIGHUP', () => {})
  // Whatever is created from here on is for this user alone: the database, its WAL, the token, the
  // lock.
  process.umask(0o077)
  const settings = createLiveConfig(env, config)
  const { warning } = openDataDir(config.dataDir)
  const hasReplicas = lockDataDir(config)
  warnOf(start, warning, log)
  let credentials = readCredentials(config)
  const tracing = await openTracing(env, log)
  const store = await open(settings, log)
  const service: Service = { stopping: false, draining: false }
  const app = await createApp({
    settings: settings.current,
    adminToken: () => credentials.adminToken.token,
    store,
    log,
    clock: systemClock,
    readiness: () =>
      service.stopping ? 'draining' : store.isFailing() ? 'storage_unavailable' : 'ready',
    tracer: tracing?.tracer ?? null,
    callsMax: callsMax(env),
    certificateExpiresAt: () => credentials.tls?.expiresAt ?? null,
  })
  const listeners = listenFor(settings, credentials, dispatchTo(app, config, service, log))

  const stopReloading = startReloading({
    settings,
    credentials,
    log,
    onChange(found) {
      const { tls } = found
      if (tls !== null && !Bun.deepEquals(tls, credentials.tls)) listeners.setTls(tls)
      credentials = found
      log.setLevel(settings.current().logLevel)
      app.backups.reschedule()
    },
  })
  const stopChores = startChores(store, app.backups, log)
  const stopped = untilStopped({
    ...{ settings, log, listeners, service, store, leaving: app.leaving },
    async stopChores() {
      stopReloading()
      await stopChores()
      await tracing?.stop()
    },
  })
  warnOfPlainText(config, credentials, log)
  if (hasReplicas && config.adminToken === undefined) log.warn(OWN_TOKEN)
  // Last: whoever reads this may send a signal at once.
  welcome(listeners, credentials, log)
  return await stopped
}

function warnOf({ config, env, warnings }: Start, ofDataDir: string | undefined, log: Log): void {
  for (const text of [...warnings, ...(ofDataDir ? [ofDataDir] : [])]) log.warn(text)
  if (callsMax(env) < config.proxyInFlightMax)
    log.warn({ calls: callsMax(env) }, 'too few open files are allowed for PROXY_IN_FLIGHT_MAX')
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
      replica: `${hostname()}:${resolve(config.dataDir)}`,
    },
    systemClock(),
  )
  if (store.migrated.length > 0) log.info({ migrations: store.migrated }, 'database migrated')
  if (store.interrupted > 0)
    log.warn({ calls: store.interrupted }, 'calls were cut off by the last stop; they stay charged')
  return store
}

function dispatchTo(
  { handle, upstreams, api, countRefusal }: App,
  { adminListen }: Config,
  service: { readonly draining: boolean },
  log: Log,
): Dispatch {
  return createDispatch({
    handle,
    upstreams,
    api: (request) => api.fetch(request),
    routes: api.routes,
    isDraining: () => service.draining,
    hasAdminListener: adminListen !== undefined,
    countRefusal,
    log,
  })
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
  if (source !== 'generated') return
  log.info({ path }, `the admin token is new; it is in ${path}`)
  const docs = `${others.admin ?? url.href}swagger`
  const create = `${COMMAND} keys create alice --quota 100`
  log.info({ docs, next: create }, `next, hand out a key: ${create} (the API: ${docs})`)
}

const OWN_TOKEN =
  'this replica has made an admin token of its own: set ADMIN_TOKEN to the same on all replicas, or each answers only to its own'

/** As it has to be typed here: the source may have been started where no Bun is installed, and no network is. */
const COMMAND = IS_BINARY
  ? Bun.which('quota-proxy')
    ? 'quota-proxy'
    : process.execPath
  : `npx --prefer-offline -y bun@${Bun.version} src/main.ts`

/** A reverse proxy that is known speaks HTTPS in front of this server. */
function warnOfPlainText(
  { host, trustedProxies }: Config,
  { tls }: Pick<Credentials, 'tls'>,
  log: Log,
): void {
  if (tls !== null || trustedProxies.length > 0 || /^(?:127\.|::1$|localhost$)/.test(host)) return
  log.warn(
    { host },
    'without HTTPS, keys and the admin token can be read on the network: set TLS_CERT_FILE and TLS_KEY_FILE, or put a reverse proxy with HTTPS in front and name it in TRUSTED_PROXIES',
  )
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
