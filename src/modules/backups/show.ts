/** How backups look in the API and in the JSON of the commands. */

import type { Sums } from '../../domain/backup.ts'
import { chargeId } from '../../domain/call.ts'
import { formatInstant } from '../../lib/clock.ts'
import type { Manifest } from './manifest.ts'
import type { Backup, BackupList } from './model.ts'
import type { Overview } from './service.ts'
import type { Listed } from './vault.ts'

export function showBackup({
  name,
  at,
  bytes,
  encrypted,
  places,
  problem,
  manifest,
}: Listed): Backup {
  return {
    name,
    created_at: manifest ? manifest.created_at : formatInstant(at),
    bytes,
    encrypted,
    places: [...places],
    problem,
    contents: manifest && showContents(manifest.sums),
  }
}

/** One that has just been made, and lies where it was made. */
export function showCreated({ name, created_at, bytes, encrypted, sums }: Manifest): Backup {
  const contents = showContents(sums)
  return { name, created_at, bytes, encrypted, places: ['local'], problem: null, contents }
}

export function showContents({ newest, unbalanced, holds, ...sums }: Sums) {
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
  const { backups, remoteProblem, remoteUrl, schedule, nextAt, running, latest, success } = overview
  return {
    object: 'list',
    data: backups.map(showBackup),
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
      s3: remoteUrl === null ? null : { url: remoteUrl, problem: remoteProblem },
    },
  }
}
