/**
 * What is true at the moment of reading: the gauges. Nothing is opened to find it out: closing a database file that SQLite
 * has open would drop its locks, so files are only asked for their size.
 */
import { stat, statfs } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { BackupStatus } from '../../domain/backup.ts'
import type { Replicas } from '../../domain/store.ts'
import type { Circuit, CircuitView } from '../../domain/upstream.ts'
import type { Metric } from './exposition.ts'
import { gauge } from './gauge.ts'

export type StateOptions = {
  readonly version: string
  readonly circuits: () => readonly CircuitView[]
  readonly store: { readonly failing: boolean; readonly open: number }
  readonly replicas: Replicas['known']
  readonly inFlight: { readonly calls: number; readonly bufferBytes: number }
  /** Null if it is kept in memory. */
  readonly databasePath: string | null
  readonly backups: () => BackupStatus
  readonly certificateExpiresAt: () => number | null
  /** What the latest examination has found; null before the first. */
  readonly unbalanced: () => number | null
}

const CIRCUITS: Record<Circuit, number> = { closed: 0, half_open: 1, open: 2 }

export function stateMetrics(options: StateOptions): readonly Metric[] {
  const { version, circuits, store, replicas, inFlight, backups, certificateExpiresAt } = options
  return [
    {
      name: 'quota_proxy_upstream_circuit',
      // Upstreams that are gone are no longer told of.
      read: () =>
        circuits().map(({ name, circuit }) => ({
          labels: { upstream: name },
          value: CIRCUITS[circuit],
        })),
    },
    gauge('quota_proxy_calls_in_flight', () => inFlight.calls),
    gauge('quota_proxy_buffer_bytes', () => inFlight.bufferBytes),
    gauge('quota_proxy_holds_open', () => store.open),
    gauge('quota_proxy_store_failing', () => Number(store.failing)),
    gauge('quota_proxy_store_replicas', () => replicas().serving),
    gauge('quota_proxy_store_replicas_lost_total', () => replicas().lost),
    gauge('quota_proxy_store_lease_seconds', () => seconds(replicas().leaseMs)),
    gauge('quota_proxy_books_unbalanced_counters', options.unbalanced),
    ...databaseMetrics(options.databasePath),
    gauge('quota_proxy_backup_scheduled', () => Number(backups().scheduled)),
    gauge('quota_proxy_backup_last_success_timestamp_seconds', () =>
      seconds(backups().lastSuccessAt),
    ),
    gauge('quota_proxy_backup_failed', () => Number(backups().failed)),
    gauge('quota_proxy_backup_size_bytes', () => backups().sizeBytes),
    gauge('quota_proxy_backup_duration_seconds', () => seconds(backups().durationMs)),
    gauge('quota_proxy_tls_certificate_expiry_timestamp_seconds', () =>
      seconds(certificateExpiresAt()),
    ),
    gauge('quota_proxy_build_info', () => 1, { version }),
  ]
}

function databaseMetrics(path: string | null): readonly Metric[] {
  const ofDatabase = (read: (path: string) => Promise<number>) => async () =>
    path === null ? null : read(path).catch(() => null)
  return [
    gauge('quota_proxy_database_bytes', ofDatabase(sizeOf)),
    gauge(
      'quota_proxy_wal_bytes',
      ofDatabase((file) => sizeOf(`${file}-wal`)),
    ),
    gauge('quota_proxy_disk_free_bytes', ofDatabase(freeBeside)),
  ]
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
