/** A key, and what was done to its limits by hand, as the API shows them. */

import { type KeyRecord, MAIN_LIMIT, type Adjustment as Stored } from '../../domain/key.ts'
import { formatInstant } from '../../lib/clock.ts'
import type { Adjustment, Key } from './answers.ts'
import { showScope } from './scope.ts'

export function show(record: KeyRecord, at: number): Key {
  const limits = record.limits.map(({ name, unit, amount, window, timezone, weekStart, credited, used, remaining, resetsAt }) => ({
    name, unit, amount, window, timezone, week_start: weekStart, credited, used, remaining, resets_at: instant(resetsAt),
  })) // biome-ignore format: two rows of one table
  const main = limits.find((limit) => limit.name === MAIN_LIMIT)
  if (!main) throw new Error(`key ${record.id} has no main limit`)
  const expired = record.expiresAt !== null && record.expiresAt <= at
  return {
    id: record.id,
    hint: record.hint,
    name: record.name,
    quota: main.amount,
    used: main.used,
    remaining: main.remaining,
    window: main.window,
    resets_at: main.resets_at,
    expires_at: instant(record.expiresAt),
    enabled: record.enabled,
    status: record.enabled ? (expired ? 'expired' : 'active') : 'disabled',
    concurrency: record.concurrency,
    ...showScope(record.scope),
    limits,
    tags: [...record.tags],
    metadata: { ...record.metadata },
    created_at: formatInstant(wholeSecond(record.createdAt)),
    updated_at: formatInstant(wholeSecond(record.updatedAt)),
    last_used_at: instant(record.lastUsedAt),
    previous_until: instant(record.previousUntil),
  }
}

export function showAdjustment(
  { seq, at, kind, limit, amount, reason }: Stored,
  keyId: string,
): Adjustment {
  return { id: `adj_${seq}`, key_id: keyId, at: formatInstant(at), kind, limit, amount, reason }
}

function wholeSecond(at: number): number {
  return Math.floor(at / 1000) * 1000
}

function instant(at: number | null): string | null {
  return at === null ? null : formatInstant(at)
}
