/**
 * What is true at the moment of reading: the gauges. Nothing is opened to find it out: closing a database file that SQLite
 * has open would drop its locks, so files are only asked for their size.
 */
import { stat, statfs } from 'node:fs/promises'
import { dirname } from 'node:path'
import { collectDefaultMetrics, Gauge, Registry } from 'prom-client'
import type { BackupStatus } from '../../domain/backup.ts'
import type { Circuit, CircuitView } from '../../domain/upstream.ts'
import { METRICS, type MetricName } from './table.ts'

export type StateOptions = {
  readonly version: string
  readonly circuits: () => readonly CircuitView[]
  readonly store: { readonly failing: boolean; readonly open: number }
  readonly inFlight: { readonly calls: number; readonly bufferBytes: number }
  /** Null if it is kept in memory. */
  readonly databasePath: string | null
  /** Null if there can be none. */
  readonly backups: () => BackupStatus | null
  readonly certificateExpiresAt: () => number | null
  /** What the latest examination has found; null before the first. */
  readonly unbalanced: () => number | null
}

const CIRCUITS: Record<Circuit, number> = { closed: 0, half_open: 1, open: 2 }

/** Of prom-client's own metrics, those that are true of Bun: the rest is made for another engine's heap and event loop. */
const PROCESS_METRICS = [
  'process_cpu_user_seconds_total',
  'process_cpu_system_seconds_total',
  'process_cpu_seconds_total',
  'process_start_time_seconds',
  'process_resident_memory_bytes',
  'process_open_fds',
  'process_max_fds',
] as const satisfies readonly MetricName[]

/** They come with a monitor that wakes the process this often, for a metric that is not taken. */
const UNUSED_MONITOR_MS = 3_600_000

export function registerState(registry: Registry, options: StateOptions): void {
  const { version, circuits, store, inFlight, databasePath, backups, certificateExpiresAt } =
    options

  /** Null leaves the series out. */
  function gauge(name: MetricName, read: () => number | null | Promise<number | null>): void {
    new Gauge({
      name,
      help: METRICS[name].help,
      registers: [registry],
      async collect() {
        const value = await read()
        if (value === null) this.remove()
        else this.set(value)
      },
    })
  }

  new Gauge({
    name: 'quota_proxy_upstream_circuit',
    help: METRICS.quota_proxy_upstream_circuit.help,
    labelNames: METRICS.quota_proxy_upstream_circuit.labels,
    registers: [registry],
    collect() {
      // Upstreams that are gone are no longer told of.
      this.reset()
      for (const { name, circuit } of circuits()) this.set({ upstream: name }, CIRCUITS[circuit])
    },
  })
  gauge('quota_proxy_calls_in_flight', () => inFlight.calls)
  gauge('quota_proxy_buffer_bytes', () => inFlight.bufferBytes)
  gauge('quota_proxy_holds_open', () => store.open)
  gauge('quota_proxy_store_failing', () => Number(store.failing))
  gauge('quota_proxy_books_unbalanced_counters', options.unbalanced)

  const ofDatabase = (read: (path: string) => Promise<number>) => async () =>
    databasePath === null ? null : read(databasePath).catch(() => null)
  gauge('quota_proxy_database_bytes', ofDatabase(sizeOf))
  gauge(
    'quota_proxy_wal_bytes',
    ofDatabase((path) => sizeOf(`${path}-wal`)),
  )
  gauge('quota_proxy_disk_free_bytes', ofDatabase(freeBeside))

  gauge('quota_proxy_backup_scheduled', () => Number(backups()?.scheduled ?? false))
  gauge('quota_proxy_backup_last_success_timestamp_seconds', () =>
    seconds(backups()?.lastSuccessAt),
  )
  gauge('quota_proxy_backup_failed', () => Number(backups()?.failed ?? false))
  gauge('quota_proxy_backup_size_bytes', () => backups()?.sizeBytes ?? null)
  gauge('quota_proxy_backup_duration_seconds', () => seconds(backups()?.durationMs))
  gauge('quota_proxy_tls_certificate_expiry_timestamp_seconds', () =>
    seconds(certificateExpiresAt()),
  )

  new Gauge({
    name: 'quota_proxy_build_info',
    help: METRICS.quota_proxy_build_info.help,
    labelNames: METRICS.quota_proxy_build_info.labels,
    registers: [registry],
  }).set({ version }, 1)

  const all = new Registry()
  collectDefaultMetrics({ register: all, eventLoopMonitoringPrecision: UNUSED_MONITOR_MS })
  for (const name of PROCESS_METRICS) {
    // Some exist on Linux only.
    const metric = all.getSingleMetric(name)
    if (metric) registry.registerMetric(metric)
  }
}

async function sizeOf(path: string): Promise<number> {
  return (await stat(path)).size
}

async function freeBeside(path: string): Promise<number> {
  const { bavail, bsize } = await statfs(dirname(path))
  return bavail * bsize
}

function seconds(ms: number | null | undefined): number | null {
  return ms === null || ms === undefined ? null : ms / 1000
}
