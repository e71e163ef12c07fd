/** Usage on SQLite, from the rollups: never from the calls, of which there may be ten million. */
import type { Database } from 'bun:sqlite'
import { and, eq, gte, inArray, lt, type SQLWrapper, sql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/bun-sqlite'
import { PERIOD_MS, type UsageRange, type UsageStore } from '../../modules/usage/store.ts'
import { usageHourly as hourly } from './schema.ts'

const SUMS = {
  calls: total(hourly.calls),
  failed: total(hourly.failed),
  requests: total(hourly.requests),
  tokens: total(hourly.tokens),
  cost: total(hourly.cost),
  bytesIn: total(hourly.bytesIn),
  bytesOut: total(hourly.bytesOut),
}

export function createUsageStore(client: Database): UsageStore {
  const db = drizzle({ client })
  return {
    totals(keySeqs, range) {
      const rows = db
        .select({ keySeq: hourly.keySeq, ...SUMS })
        .from(hourly)
        .where(and(inArray(hourly.keySeq, [...keySeqs]), within(range)))
        .groupBy(hourly.keySeq)
        .all()
      return new Map(rows.map(({ keySeq, ...totals }) => [keySeq, totals]))
    },

    byPeriod(keySeq, range, period) {
      // Days of UTC have no leap seconds in the time of Unix, so that every one begins at a multiple of its length.
      const from = sql<number>`${hourly.hour} - ${hourly.hour} % ${PERIOD_MS[period]}`.as('period')
      return db
        .select({ from, ...SUMS })
        .from(hourly)
        .where(and(eq(hourly.keySeq, keySeq), within(range)))
        .groupBy((row) => row.from)
        .orderBy((row) => row.from)
        .all()
    },

    byUpstream(keySeq, range) {
      return db
        .select({ upstream: hourly.upstream, ...SUMS })
        .from(hourly)
        .where(and(eq(hourly.keySeq, keySeq), within(range)))
        .groupBy(hourly.upstream)
        .orderBy(hourly.upstream)
        .all()
    },
  }
}

function within({ from, to }: UsageRange) {
  return and(
    from === undefined ? undefined : gte(hourly.hour, from),
    to === undefined ? undefined : lt(hourly.hour, to),
  )
}

function total(column: SQLWrapper) {
  return sql<number>`sum(${column})`
}
