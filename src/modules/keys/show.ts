/** A key, and the credits and resets of its limits, as the admin API shows them. */
import {
  type KeyRecord,
  keyStatus,
  type LimitView,
  MAIN_LIMIT,
  type Scope,
  type Adjustment as Stored,
} from '../../domain/key.ts'
import { showInstant } from '../../http/fields/instant.ts'
import { formatInstant } from '../../lib/clock.ts'
import type { Adjustment } from './adjustments.ts'
import type { Key } from './model.ts'
import { memberOf, type ScopeField } from './scope.ts'

/** Its members are written out by hand, so that a new column never appears in the API by itself. */
export function show(record: KeyRecord, at: number): Key {
  const limits = record.limits.map(showLimit)
  const main = limits.find((limit) => limit.name === MAIN_LIMIT)
  if (!main) throw new Error(`key ${record.id} has no main limit`)
  return {
    id: record.id,
    hint: record.hint,
    name: record.name,
    quota: main.amount,
    used: main.used,
    remaining: main.remaining,
    window: main.window,
    resets_at: main.resets_at,
    expires_at: showInstant(record.expiresAt),
    enabled: record.enabled,
    status: keyStatus(record, at),
    concurrency: record.concurrency,
    reserve_max: record.reserveMax && { ...record.reserveMax },
    ...showScope(record.scope),
    limits,
    tags: [...record.tags],
    metadata: { ...record.metadata },
    created_at: formatInstant(wholeSecond(record.createdAt)),
    updated_at: formatInstant(wholeSecond(record.updatedAt)),
    last_used_at: showInstant(record.lastUsedAt),
    previous_until: showInstant(record.previousUntil),
  }
}

export function showAdjustment(
  { seq, at, kind, limit, amount, reason }: Stored,
  keyId: string,
): Adjustment {
  return { id: `adj_${seq}`, key_id: keyId, at: formatInstant(at), kind, limit, amount, reason }
}

function showLimit(limit: LimitView): Key['limits'][number] {
  const { name, unit, amount, window, timezone, weekStart, credited, used, remaining } = limit
  const resets_at = showInstant(limit.resetsAt)
  return {
    name, unit, amount, window, timezone, week_start: weekStart, credited, used, remaining, resets_at,
  } // biome-ignore format: one row of a table
}

function showScope(scope: Scope | null): Record<ScopeField, string[] | null> {
  const list = (field: ScopeField) => {
    const entries = scope?.[memberOf(field)]
    return entries ? [...entries] : null
  }
  return {
    upstreams: list('upstreams'),
    methods: list('methods'),
    paths: list('paths'),
    models: list('models'),
    ip_allow: list('ip_allow'),
  }
}

function wholeSecond(at: number): number {
  return Math.floor(at / 1000) * 1000
}
