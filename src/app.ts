/** The composition root: all wiring, in order, no logic. */
import { Elysia } from 'elysia'
import { backupSettings } from './config/backup-settings.ts'
import { memoByConfig } from './config/live.ts'
import type { Config } from './config/options.ts'
import type { Store } from './db/open.ts'
import { OPERATOR } from './domain/store.ts'
import { unpricedOf } from './domain/upstream.ts'
import type { ErrorCode } from './errors.ts'
import { logCall } from './http/access-log.ts'
import { errorHandler, type Route } from './http/errors.ts'
import { limitRate } from './http/holder-rate.ts'
import { createDocument } from './http/openapi/document.ts'
import type { Clock } from './lib/clock.ts'
import type { Log } from './lib/log.ts'
import { VERSION } from './lib/process/version.ts'
import { createCheckMetrics, createCheckToken } from './modules/auth/service.ts'
import { backupsController } from './modules/backups/index.ts'
import { createBackups } from './modules/backups/schedule.ts'
import { callsController } from './modules/calls/index.ts'
import { docsController } from './modules/docs/index.ts'
import { doctorController } from './modules/doctor/index.ts'
import { createExamine } from './modules/doctor/service.ts'
import { healthController } from './modules/health/index.ts'
import type { Readiness } from './modules/health/model.ts'
import { keysController } from './modules/keys/index.ts'
import { createKeyQueries } from './modules/keys/queries.ts'
import { createKeys } from './modules/keys/service.ts'
import { meController } from './modules/me/index.ts'
import { metricsController } from './modules/metrics/index.ts'
import { createMetrics } from './modules/metrics/service.ts'
import { replicasController } from './modules/replicas/index.ts'
import { upstreamsController } from './modules/upstreams/index.ts'
import { createRegistry, environmentUpstream } from './modules/upstreams/registry.ts'
import { createUpstreams } from './modules/upstreams/service.ts'
import { usageController } from './modules/usage/index.ts'
import { refused } from './proxy/answer/respond.ts'
import { onceEach } from './proxy/answer/unknown-usage.ts'
import { authenticateAnew } from './proxy/authenticate.ts'
import { refusedEnd } from './proxy/call.ts'
import { proxyController } from './proxy/elysia/undispatched.ts'
import { createHandle } from './proxy/handle.ts'
import { createInFlight } from './proxy/in-flight.ts'
import { createKeyMemory } from './proxy/key-memory.ts'
import type { Handle } from './proxy/rounds.ts'
import { createBreakers } from './proxy/send/breakers.ts'
import { createEgressGuard } from './proxy/send/egress.ts'
import { createLeaving } from './proxy/send/leaving.ts'
import { createOpenSockets } from './proxy/sockets/open-sockets.ts'
import type { Tracer } from './proxy/trace.ts'

export type AppOptions = {
  /** In force at this moment. */
  readonly settings: () => Config
  readonly adminToken: () => string
  readonly store: Store
  readonly log: Log
  readonly clock: Clock
  readonly readiness: () => Readiness
  /** Most calls in flight that this process has connections for. */
  readonly callsMax: number
  /** Null if nobody traces. */
  readonly tracer: Tracer | null
  /** When the certificate of the listener ends; null if it has none. */
  readonly certificateExpiresAt: () => number | null
}

export type App = Awaited<ReturnType<typeof createApp>>

/**
 * Answers every request that the listener hands it; never listens, reads the environment or ends
 * the process.
 */
export async function createApp(options: AppOptions) {
  const parts = await createParts(options)
  const { upstreams, backups, metrics, leaving } = parts
  options.store.ledger.watch(metrics)
  const handle = createDataPath(options, parts)
  const api = createApi(options, parts)
  const countRefusal = (code: ErrorCode, status: number) =>
    metrics.count({ keyId: null, upstream: '', ...refusedEnd(code, status, 0) })
  return { handle, countRefusal, upstreams, backups, leaving, api }
}

type Parts = Awaited<ReturnType<typeof createParts>>

/** What both have a part in: the calls and the API, which manages and shows what calls meet. */
async function createParts(options: AppOptions) {
  const { settings, store, log, clock, callsMax } = options
  const upstreams = await createRegistry(store.upstreams, environmentUpstream(settings()))
  store.watchUpstreams(() => upstreams.reload())
  const breakers = createBreakers((upstream, circuit) =>
    log.warn({ upstream, circuit }, 'the circuit of an upstream has changed'),
  )
  const circuits = () =>
    upstreams.list().map(({ name }) => ({ name, circuit: breakers.stateOf(name) }))
  const backups = createBackups({
    settings: () => backupSettings(settings()),
    clock,
    log,
    problem: store.capabilities.backups.ok ? null : store.capabilities.backups.reason,
    shared: store.backupRecord,
    onExamined: (unbalanced) => metrics.noteUnbalanced(unbalanced),
  })
  const leaving = createLeaving()
  const inFlight = createInFlight(
    memoByConfig(settings, ({ proxyInFlightMax, proxyBufferBytesMax }) => ({
      callsMax: Math.min(proxyInFlightMax, callsMax),
      bufferBytesMax: proxyBufferBytesMax,
    })),
    leaving,
  )
  const metrics = createMetrics({
    version: VERSION,
    circuits,
    store: store.ledger,
    replicas: store.replicas.known,
    inFlight,
    databasePath: store.capabilities.sharedFile,
    backups: backups.status,
    certificateExpiresAt: options.certificateExpiresAt,
    keysMax: () => settings().metricsKeysMax,
    upstreams: () => upstreams.all().map(({ name }) => name),
  })
  const keyMemory = createKeyMemory(store.find)
  return { upstreams, breakers, circuits, backups, inFlight, metrics, keyMemory, leaving }
}

/** The calls of holders. */
function createDataPath(options: AppOptions, parts: Parts): Handle {
  const { settings, store, log, clock, tracer } = options
  const { upstreams, breakers, inFlight, metrics, keyMemory, leaving } = parts
  const writeCall = logCall(log)
  return createHandle({
    keys: keyMemory,
    inFlight,
    ledger: store.ledger,
    clock,
    rules: memoByConfig(settings, (config) => ({
      guard: createEgressGuard({ mode: config.egress, allow: config.egressAllow }),
      chargeOn: config.chargeOn,
      bodyBytesMax: config.proxyBodyBytesMax,
      timeoutMs: config.proxyTimeoutMs,
      idleTimeoutMs: config.proxyIdleTimeoutMs,
      upstreams,
    })),
    breakers,
    openSockets: createOpenSockets({
      standings: store.standings,
      upstreams: () => upstreams,
      clock,
    }),
    leaving,
    onCredentialRejected: (upstream, status) =>
      log.error(
        { upstream, status },
        'the upstream refused its credential; its calls fail until that is mended',
      ),
    onUnknownUsage: onceEach((upstream, names) =>
      log.warn({ upstream, names }, 'an upstream reports usage under names that nobody knows'),
    ),
    report(call) {
      writeCall(call)
      metrics.count(call)
    },
    tracer,
  })
}

/** Everything else that is served, for operators and for holders. */
function createApi(options: AppOptions, parts: Parts) {
  const { settings, adminToken, store, log, clock, readiness } = options
  const { upstreams, circuits, backups, metrics, keyMemory } = parts
  const checkToken = createCheckToken(adminToken, () => performance.now())
  const checkMetrics = createCheckMetrics(checkToken, () => settings().metricsToken)
  const keys = createKeys(store.keys, clock, settings)
  const holder = limitRate(
    (headers) => authenticateAnew(headers.toJSON(), keyMemory, clock()),
    () => performance.now(),
  )
  const operator = store.reads(OPERATOR)
  const keyQueries = createKeyQueries(operator.keys, clock)
  const currency = () => settings().currency

  const api = new Elysia({ normalize: false })
    .use(errorHandler(log, (): readonly Route[] => app.routes, refused))
    .use(healthController(readiness, circuits))
    .use(metricsController(metrics, checkMetrics))
    .use(proxyController)
    .use(keysController(keys, keyQueries, checkToken))
    .use(upstreamsController(createUpstreams(store.upstreams, upstreams, clock), checkToken))
    .use(usageController(keyQueries, operator.usage, checkToken, clock, settings))
    .use(
      callsController(
        operator.calls,
        async (key) => (await keyQueries.findEver(key)).seq,
        checkToken,
        currency,
      ),
    )
    .use(meController(store.reads, holder, clock, currency))
    .use(doctorController(createDoctor(options, parts), checkToken))
    .use(replicasController(store.replicas, checkToken, clock))
    .use(backupsController(backups, checkToken))
  // The outermost instance decides for all routes. By default Elysia drops unknown fields in
  // silence, and takes a part of the path for the host if that has fewer than four characters.
  const app = new Elysia({ normalize: false, handler: { standardHostname: false } }).use(api).use(
    docsController({
      document: createDocument(api),
      hasAdminListener: () => settings().adminListen !== undefined,
      upstreams: () => parts.upstreams.list(),
    }),
  )
  return app
}

/** Examines the store, beside the calls where that is possible, and tells the metrics of it. */
function createDoctor({ settings, store, clock }: AppOptions, { metrics }: Parts) {
  const lookThrough =
    store.capabilities.sharedFile === null
      ? () => store.examine(clock(), { unpriced: unpricedOf(settings()) })
      : createExamine(settings)
  return async () => {
    const found = await lookThrough()
    const books = found.findings.find(({ check }) => check === 'books')
    metrics.noteUnbalanced(books?.count ?? 0)
    return found
  }
}
