/** Sums of all keys together, by time and by one of the things that a call has, from the rollups and never from the calls. */
import { type SQL, sql } from 'drizzle-orm'
import {
  GROUPS_MAX,
  tooManyGroups,
  type UsageDimension,
  type UsageFilter,
  type UsageGroup,
  type UsageKey,
  type UsageSpan,
  type UsageTotals,
} from '../../../domain/usage.ts'
import { usageHourly } from '../ledger/schema.ts'
import { keys } from '../schema.ts'
import type { Tx } from '../transact.ts'
import { holdsText, isText, numbers } from '../values.ts'
import { SUMS } from './usage.ts'

type Row = UsageTotals & {
  /** Counted from 1. */
  readonly span: number
  readonly value: string | number
  readonly keyId: string | null
  readonly keyName: string | null
}

const VALUES = { key: sql`key_seq`, upstream: sql`upstream`, model: sql`model` } as const

/** One statement for all spans: each ends where the next begins. */
export async function usageGroups(
  tx: Tx,
  filter: UsageFilter,
  spans: readonly UsageSpan[],
  by: UsageDimension | null,
): Promise<UsageGroup[]> {
  const [first, last] = [spans[0], spans.at(-1)]
  if (!first || !last) return []
  const span = sql`width_bucket(hour, ${numbers(spans.map(({ from }) => from))})`
  const within = sql`FROM usage_hourly WHERE hour >= ${first.from} AND hour < ${last.to} ${filtered(filter)}`
  const { rows } = await tx.execute<Row>(sql`
    SELECT s.*, ${by === 'key' ? sql`k.id AS "keyId", k.name AS "keyName"` : sql`NULL AS "keyId", NULL AS "keyName"`}
    FROM (${sumsBy(by, span, within)}) s ${by === 'key' ? sql`LEFT JOIN keys k ON k.seq = s.value` : sql``}
    ORDER BY s.span, s.calls DESC, s.value ${by === 'key' ? sql`` : sql`COLLATE "C"`}
    LIMIT ${GROUPS_MAX + 1}`)
  if (rows.length > GROUPS_MAX) throw tooManyGroups()
  return rows.map(({ span: place, value, keyId, keyName, ...totals }) => ({
    from: spans[place - 1]?.from ?? first.from,
    value: by === 'key' ? '' : String(value),
    key: keyOf(keyId, keyName),
    ...totals,
  }))
}

/** A call counts for each tag of its key, so that the sums of the keys are taken first. */
function sumsBy(by: UsageDimension | null, span: SQL, within: SQL): SQL {
  if (by !== 'tag') {
    const value = by === null ? sql`''` : VALUES[by]
    return sql`SELECT ${span} AS span, ${value} AS value, ${SUMS} ${within} GROUP BY 1, 2`
  }
  const ofKeys = sql`SELECT ${span} AS span, key_seq, ${COLUMNS} ${within} GROUP BY 1, 2`
  return sql`SELECT span, coalesce(tag.value, '') AS value, ${SUMS} FROM (${ofKeys}) o
    JOIN keys ON keys.seq = o.key_seq LEFT JOIN LATERAL jsonb_array_elements_text(keys.tags) AS tag(value) ON true
    GROUP BY 1, 2`
}

/** The sums under the names of their columns, to be added up again. */
const COLUMNS = sql`sum(calls)::bigint AS calls, sum(failed)::bigint AS failed, sum(estimated)::bigint AS estimated,
  sum(requests)::bigint AS requests, sum(tokens)::bigint AS tokens, sum(cost)::bigint AS cost,
  sum(bytes_in)::bigint AS bytes_in, sum(bytes_out)::bigint AS bytes_out`

function filtered({ keySeq, upstream, model, tag }: UsageFilter): SQL {
  const conditions = [
    keySeq === undefined ? null : sql`key_seq = ${keySeq}`,
    upstream === undefined ? null : isText(usageHourly.upstream, upstream),
    model === undefined ? null : isText(usageHourly.model, model),
    tag === undefined
      ? null
      : sql`EXISTS (SELECT 1 FROM keys WHERE keys.seq = key_seq AND ${holdsText(keys.tags, tag)})`,
  ].filter((condition) => condition !== null)
  return sql.join(conditions.map((condition) => sql` AND ${condition}`))
}

function keyOf(id: string | null, name: string | null): UsageKey | null {
  return id === null || name === null ? null : { id, name }
}
