/** Sums of all keys together, by time and by one of the things that a call has, from the rollups and never from the calls. */
import type { Database } from 'bun:sqlite'
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
import type { Steps } from './steps.ts'
import { added, type Totals } from './usage.ts'

/** Rollups of one step: a few milliseconds. An hour is not divided. */
const STEP_ROWS = 5_000

const VALUES: Readonly<Record<UsageDimension, string>> = {
  key: 'key_seq',
  upstream: 'upstream',
  model: 'model',
  tag: "coalesce(tag.value, '')",
}

type Sums = UsageTotals & { readonly value: string | number }

export function createUsageGroups(client: Database) {
  const endOfStep = client.query<{ hour: number | null }, [number, number]>(
    `SELECT max(hour) AS hour FROM (
       SELECT hour FROM usage_hourly WHERE hour >= ? AND hour < ? ORDER BY hour LIMIT ${STEP_ROWS})`,
  )
  const keyOf = client.query<UsageKey, [number]>('SELECT id, name FROM keys WHERE seq = ?')

  return function* groups(
    filter: UsageFilter,
    spans: readonly UsageSpan[],
    by: UsageDimension | null,
  ): Steps<UsageGroup[]> {
    const sums = client.query<Sums, (number | string)[]>(sumsBy(filter, by))
    const given = Object.values(filter).filter((value) => value !== undefined)
    const groups: UsageGroup[] = []
    for (const { from, to } of spans) {
      const found = new Map<string | number, Totals>()
      for (let start = from; ; ) {
        const end = endOfStep.get(start, to)?.hour ?? null
        if (end === null) break
        for (const { value, ...more } of sums.all(start, end, ...given))
          found.set(value, added(found.get(value), more))
        start = end + 1
        yield
      }
      if (groups.length + found.size > GROUPS_MAX) throw tooManyGroups()
      const ordered = [...found].sort(
        ([a, one], [b, other]) => other.calls - one.calls || (a < b ? -1 : 1),
      )
      for (const [value, totals] of ordered) groups.push(group(from, value, totals, by))
    }
    return groups
  }

  function group(
    from: number,
    value: string | number,
    totals: UsageTotals,
    by: UsageDimension | null,
  ): UsageGroup {
    const key = by === 'key' ? keyOf.get(Number(value)) : null
    return { from, value: by === 'key' ? '' : String(value), key, ...totals }
  }
}

function sumsBy(filter: UsageFilter, by: UsageDimension | null): string {
  const conditions = [
    filter.keySeq === undefined ? null : 'key_seq = ?',
    filter.upstream === undefined ? null : 'upstream = ?',
    filter.model === undefined ? null : 'model = ?',
    filter.tag === undefined
      ? null
      : 'EXISTS (SELECT 1 FROM keys, json_each(keys.tags) WHERE keys.seq = key_seq AND value = ?)',
  ].filter((condition) => condition !== null)
  const tags =
    by === 'tag'
      ? 'JOIN keys ON keys.seq = key_seq LEFT JOIN json_each(keys.tags) AS tag ON TRUE'
      : ''
  return `SELECT ${by === null ? "''" : VALUES[by]} AS value, sum(calls) AS calls, sum(failed) AS failed,
      sum(requests) AS requests, sum(tokens) AS tokens, sum(cost) AS cost, sum(bytes_in) AS bytesIn,
      sum(bytes_out) AS bytesOut, sum(estimated) AS estimated
    FROM usage_hourly ${tags} WHERE hour BETWEEN ? AND ? ${conditions.map((one) => `AND ${one}`).join(' ')} GROUP BY 1`
}
