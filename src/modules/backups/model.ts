/** Backups in the answers of the API, and in the JSON of the commands. */
import { type Static, t } from 'elysia'
import type { Sums } from '../../domain/backup.ts'
import { chargeId } from '../../domain/call.ts'
import { integer } from '../../http/fields/integer.ts'
import { formatInstant } from '../../lib/clock.ts'
import type { Overview } from './schedule.ts'
import type { Listed } from './storage.ts'

const nullable = (description: string) => t.Union([t.String(), t.Null()], { description })

const Contents = t.Object(
  {
    keys: integer({ description: 'Keys that are not deleted.' }),
    calls: integer({ description: 'Entries of the ledger.' }),
    calls_in_flight: integer(),
    newest_call: t.Union([t.String(), t.Null()], {
      description: 'The `X-Quota-Charge-Id` of the newest call in it.',
    }),
    requests: integer({ description: 'Units used, over all keys and windows that are kept.' }),
    tokens: integer(),
    cost: integer(),
    unbalanced_counters: integer({
      description:
        'Counters that do not agree with the ledger; always 0 unless something is wrong.',
    }),
  },
  { description: 'What is in it.' },
)

const EXAMPLE = {
  name: 'quota-20261123T031700Z-5f0c3a.db.zst',
  created_at: '2026-11-23T03:17:00.014Z',
  bytes: 52_428_800,
  encrypted: false,
  places: ['local' as const],
  problem: null,
  contents: {
    keys: 42,
    calls: 1_250_000,
    calls_in_flight: 3,
    newest_call: 'call_1250003',
    requests: 1_248_211,
    tokens: 0,
    cost: 0,
    unbalanced_counters: 0,
  },
}

export const Backup = t.Object(
  {
    name: t.String(),
    created_at: t.String({ description: 'The instant that it shows.' }),
    bytes: integer({ description: 'Of the file, as it is stored.' }),
    encrypted: t.Boolean(),
    places: t.Array(t.UnionEnum(['local', 's3']), {
      description: 'Where it lies: in BACKUP_DIR, in the storage of BACKUP_S3_URL, or both.',
    }),
    problem: nullable('Why it cannot be relied on; null if nothing is known against it.'),
    contents: t.Union([Contents, t.Null()], {
      description: 'Null if its manifest is not in BACKUP_DIR.',
    }),
  },
  { examples: [EXAMPLE] },
)
export type Backup = Static<typeof Backup>

const Latest = t.Object({
  at: t.String(),
  ok: t.Boolean(),
  error: nullable('What went wrong.'),
  duration_ms: integer(),
})

const Success = t.Object({
  at: t.String(),
  name: t.String(),
  bytes: integer(),
  duration_ms: integer(),
})

const Storage = t.Object({
  url: t.String(),
  problem: nullable('Why the backups there could not be listed.'),
})

const Status = t.Object(
  {
    schedule: nullable(
      'The cron expression in force, in DEFAULT_TIMEZONE; null if none are scheduled.',
    ),
    next_at: nullable('When the next one is due.'),
    running: t.Boolean({ description: 'Whether this server is making one now.' }),
    latest: t.Union([Latest, t.Null()], { description: 'The latest attempt.' }),
    success: t.Union([Success, t.Null()], { description: 'The latest that went well.' }),
    s3: t.Union([Storage, t.Null()], { description: 'Where copies are sent; null if nowhere.' }),
  },
  { description: 'How backups go.' },
)

export const BackupList = t.Object(
  {
    object: t.Literal('list'),
    data: t.Array(Backup),
    has_more: t.Boolean(),
    next: t.Null(),
    status: Status,
  },
  {
    examples: [
      {
        object: 'list',
        data: [EXAMPLE],
        has_more: false,
        next: null,
        status: {
          schedule: '17 3 * * *',
          next_at: '2026-11-24T03:17:00Z',
          running: false,
          latest: { at: '2026-11-23T03:17:00Z', ok: true, error: null, duration_ms: 8120 },
          success: {
            at: '2026-11-23T03:17:00.014Z',
            name: EXAMPLE.name,
            bytes: EXAMPLE.bytes,
            duration_ms: 8120,
          },
          s3: null,
        },
      },
    ],
  },
)
export type BackupList = Static<typeof BackupList>

export function showBackup(backup: Listed): Backup {
  const { name, at, bytes, encrypted, places, problem, manifest } = backup
  return {
    name,
    // The name has no milliseconds.
    created_at: manifest ? manifest.created_at : formatInstant(at),
    bytes,
    encrypted,
    places: [...places],
    problem,
    contents: manifest && showContents(manifest.sums),
  }
}

function showContents({ newest, unbalanced, holds, ...sums }: Sums) {
  const { keys, calls, requests, tokens, cost } = sums
  return {
    keys,
    calls,
    calls_in_flight: holds,
    newest_call: newest === null ? null : chargeId(newest),
    requests,
    tokens,
    cost,
    unbalanced_counters: unbalanced,
  }
}

export function showOverview(overview: Overview): BackupList {
  const { schedule, nextAt, running, latest, success, storageUrl, storageProblem } = overview
  return {
    object: 'list',
    data: overview.backups.map(showBackup),
    has_more: false,
    next: null,
    status: {
      schedule,
      next_at: nextAt === null ? null : formatInstant(nextAt),
      running,
      latest,
      success: success && {
        at: success.at,
        name: success.name,
        bytes: success.bytes,
        duration_ms: success.duration_ms,
      },
      s3: storageUrl === null ? null : { url: storageUrl, problem: storageProblem },
    },
  }
}
