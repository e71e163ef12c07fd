/** Whether the books in a database file balance, and say what the model remembers. Sums by hand, not by SQL. */
import { Database } from 'bun:sqlite'
import { expect } from 'bun:test'
import { UNITS, type Unit } from '../../src/domain/limit.ts'
import type { ModelCall } from './model-ledger.ts'
import { HOUR } from './time.ts'

type Entry = { counters: string } & Record<Unit, number>
type Counter = {
  id: number
  name: string
  unit: Unit
  used: number
  pruned: number
}

const ENTRIES = `SELECT counters, requests_charged AS requests, tokens_charged AS tokens, cost_charged AS cost
  FROM calls WHERE key_seq = ?1 UNION ALL SELECT counters, requests, tokens, cost FROM holds WHERE key_seq = ?1`
const COUNTERS =
  'SELECT c.id, l.name, l.unit, c.used, c.pruned FROM counters c JOIN limits l ON l.id = c.limit_id WHERE l.key_seq = ?1'
const ROLLUPS =
  'SELECT hour, calls, requests, tokens, cost FROM usage_hourly WHERE key_seq = ?1 ORDER BY hour'
const HOLDS = 'SELECT seq FROM holds WHERE key_seq = ?1'

/** `calls` are all that the model remembers of the key. */
export function checkBooks(path: string, keySeq: number, calls: readonly ModelCall[]): void {
  const client = new Database(path, { readonly: true })
  try {
    const read = <T>(sql: string) => client.query<T, [number]>(sql).all(keySeq)
    const entries = read<Entry>(ENTRIES)
    for (const counter of read<Counter>(COUNTERS)) {
      const booked = entries.filter(({ counters }) =>
        (JSON.parse(counters) as number[]).includes(counter.id),
      )
      expect({ ...counter, used: counter.pruned + sum(booked, counter.unit) }).toEqual(counter)
      expect(counter.used).toBeGreaterThanOrEqual(counter.pruned)
      expect(counter.pruned).toBeGreaterThanOrEqual(0)
    }
    expect(read(HOLDS)).toHaveLength(calls.filter((call) => call.outcome === null).length)
    expect(read<unknown>(ROLLUPS)).toEqual(rollUp(calls.filter((call) => call.outcome !== null)))
  } finally {
    client.close()
  }
}

function rollUp(calls: readonly ModelCall[]): unknown[] {
  const hours = Map.groupBy(calls, ({ at }) => at - (at % HOUR))
  return [...hours]
    .toSorted(([a], [b]) => a - b)
    .map(([hour, ended]) => {
      const charged = ended.map((call) => call.units)
      const units = UNITS.map((unit) => [unit, sum(charged, unit)])
      return { hour, calls: ended.length, ...Object.fromEntries(units) }
    })
}

function sum(list: readonly Record<Unit, number>[], unit: Unit): number {
  return list.reduce((total, each) => total + each[unit], 0)
}
