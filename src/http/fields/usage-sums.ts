/** Sums of the hourly rollups, as every answer about usage shows them. */
import type { UsageTotals } from '../../domain/usage.ts'
import { integer } from './integer.ts'
import { MICROS } from './money.ts'

export const usageSums = {
  calls: integer({ description: 'Calls that were let through.' }),
  failed: integer({ description: 'Of these, the ones without an answer below 500.' }),
  estimated: integer({
    description: 'Of these, the ones whose tokens or cost were estimated in part.',
  }),
  requests: integer({ description: 'Requests charged.' }),
  tokens: integer(),
  cost: integer({ description: MICROS }),
  bytes_in: integer(),
  bytes_out: integer(),
}

export function showUsageSums(totals: UsageTotals) {
  const { calls, failed, requests, tokens, cost, bytesIn, bytesOut, estimated } = totals
  return {
    ...{ calls, failed, requests, tokens, cost, bytes_in: bytesIn, bytes_out: bytesOut, estimated },
  }
}
