/** Whether the books of a database balance, and say what the model remembers. Sums by hand, not by SQL. */
import { Database } from 'bun:sqlite'
import { expect } from 'bun:test'
import { UNITS, type Unit } from '../../src/domain/limit.ts'
import type { ModelCall } from './model-ledger.ts'
import { sql } from './postgres.ts'
import { HOUR } from './time.ts'

type Entry = { readonly counters: readonly number[] } & Readonly<Record<Unit, number>>
type Counter = {
  readonly id: number
  readonly name: string
  readonly unit: Unit
  readonly used: number
  readonly pruned: number
  /** Null where nothing is stored of what is held. */
  readonly held: number | null
}
type Books = {
  /** Of calls that have ended. */
  readonly entries: readonly Entry[]
  readonly holds: readonly Entry[]
  readonly counters: readonly Counter[]
  readonly rollups: readonly unknown[]
}

const CHARGED = 'requests_charged AS requests, tokens_charged AS tokens, cost_charged AS cost'
const ROLLUPS = 'SELECT hour, calls, requests, tokens, cost FROM usage_hourly'

/** `url` is a path or a URL of PostgreSQL; `calls` are all that the model remembers of the key. */
export async function checkBooks(
  url: string,
  keySeq: number,
  calls: readonly ModelCall[],
): Promise<void> {
  const { entries, holds, counters, rollups } = url.startsWith('postgres:')
    ? await readServer(url, keySeq)
    : readFile(url, keySeq)
  for (const counter of counters) {
    const of = (list: readonly Entry[]) =>
      sum(
        list.filter((entry) => entry.counters.includes(counter.id)),
        counter.unit,
      )
    const held = counter.held === null ? null : of(holds)
    expect({ ...counter, used: counter.pruned + of(entries) + of(holds), held }).toEqual(counter)
    expect(counter.used).toBeGreaterThanOrEqual(counter.pruned)
    expect(counter.pruned).toBeGreaterThanOrEqual(0)
  }
  expect(holds).toHaveLength(calls.filter((call) => call.outcome === null).length)
  expect(rollups).toEqual(rollUp(calls.filter((call) => call.outcome !== null)))
}

function readFile(path: string, keySeq: number): Books {
  const client = new Database(path, { readonly: true })
  try {
    const read = <T>(text: string) => client.query<T, [number]>(text).all(keySeq)
    const list = (text: string) =>
      read<Entry & { counters: string }>(text).map((row) => {
        return { ...row, counters: JSON.parse(row.counters) as number[] }
      })
    return {
      entries: list(`SELECT counters, ${CHARGED} FROM calls WHERE key_seq = ?1`),
      holds: list('SELECT counters, requests, tokens, cost FROM holds WHERE key_seq = ?1'),
      counters: read(`SELECT c.id, l.name, l.unit, c.used, c.pruned, NULL AS held
        FROM counters c JOIN limits l ON l.id = c.limit_id WHERE l.key_seq = ?1`),
      rollups: read(`${ROLLUPS} WHERE key_seq = ?1 ORDER BY hour`),
    }
  } finally {
    client.close()
  }
}

async function readServer(url: string, keySeq: number): Promise<Books> {
  const read = <T extends object>(text: string) => sql<T>(url, text, [keySeq])
  const list = 'to_jsonb(counters) AS counters'
  return {
    entries: await read(`SELECT ${list}, ${CHARGED} FROM calls WHERE key_seq = $1`),
    holds: await read(`SELECT ${list}, requests, tokens, cost FROM holds WHERE key_seq = $1`),
    counters: await read(`SELECT c.id, l.name, l.unit, c.used, c.pruned, c.held
      FROM counters c JOIN limits l ON l.id = c.limit_id WHERE l.key_seq = $1`),
    rollups: await read(`${ROLLUPS} WHERE key_seq = $1 ORDER BY hour`),
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
