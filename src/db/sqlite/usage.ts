/** Usage on SQLite, from the rollups: never from the calls, of which there may be ten million. */
import type { Database } from 'bun:sqlite'
import { and, gte, inArray, lt, type SQLWrapper, sql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/bun-sqlite'
import type { UsageStore } from '../../modules/usage/store.ts'
import { usageHourly as hourly } from './schema.ts'

export function createUsageStore(client: Database): UsageStore {
  const db = drizzle({ client })
  return {
    totals(keySeqs, { from, to }) {
      const rows = db
        .select({
          keySeq: hourly.keySeq,
          calls: total(hourly.calls),
          failed: total(hourly.failed),
          requests: total(hourly.requests),
          tokens: total(hourly.tokens),
          cost: total(hourly.cost),
          bytesIn: total(hourly.bytesIn),
          bytesOut: total(hourly.bytesOut),
        })
        .from(hourly)
        .where(
          and(
            inArray(hourly.keySeq, [...keySeqs]),
            from === undefined ? undefined : gte(hourly.hour, from),
            to === undefined ? undefined : lt(hourly.hour, to),
          ),
        )
        .groupBy(hourly.keySeq)
        .all()
      return new Map(rows.map(({ keySeq, ...totals }) => [keySeq, totals]))
    },
  }
}

function total(column: SQLWrapper) {
  return sql<number>`sum(${column})`
}
