/** How rows of two engines are compared: what is the same is found so, and whatever is not is found out. */
import { expect, test } from 'bun:test'
import { getTableColumns, getTableName, is } from 'drizzle-orm'
import { PgTable } from 'drizzle-orm/pg-core'
import { SQLiteTable } from 'drizzle-orm/sqlite-core'
import { createDigester } from '../../src/db/move/digest.ts'
import { canonicalJson, neutral, type Row, TABLES, tableNamed } from '../../src/db/move/tables.ts'
import * as postgresBooks from '../../src/db/postgres/ledger/schema.ts'
import * as postgres from '../../src/db/postgres/schema.ts'
import * as sqliteBooks from '../../src/db/sqlite/ledger/schema.ts'
import * as sqlite from '../../src/db/sqlite/schema.ts'

const TABLE = tableNamed('adjustments')
const rows: Row[] = [
  [1, 1, 'quota', 5, 'credit', 10, 'a'],
  [2, 1, 'quota', 6, 'reset', -3, ''],
  [3, 2, 'quota', 6, 'reset', Number.MAX_SAFE_INTEGER, ''],
]

function digest(all: readonly Row[]) {
  const digester = createDigester(TABLE)
  for (const row of all) digester.add(row)
  return digester.digest()
}

test('the order of rows does not matter, and everything else does', () => {
  const whole = digest(rows)
  expect(digest(rows.toReversed())).toEqual(whole)
  expect(whole.sums).toEqual({ amount: String(BigInt(Number.MAX_SAFE_INTEGER) + 7n) })
  const [a = [], b = [], c = []] = rows
  const others = [
    [a, b],
    [a, b, c, c],
    [a, a, c],
    [a, b, [...c.slice(0, 6), 'x']],
    [a, b, [...c.slice(0, 6), null]],
  ]
  const hashes = others.map((other) => digest(other).hash)
  expect(new Set([whole.hash, ...hashes]).size).toBe(others.length + 1)
})

test('JSON has one text, whatever the order of its members', () => {
  expect(canonicalJson('{"b": 1, "a": {"d": [1.50, "x"], "c": null}}')).toBe(
    '{"a":{"c":null,"d":[1.5,"x"]},"b":1}',
  )
  expect(canonicalJson('{"__proto__": 1}')).toBe('{"__proto__":1}')
  expect(canonicalJson('"a\\u0000b\\ud800"')).toBe('"a\ufffdb\ufffd"')
})

test('values of both engines become the same', () => {
  expect([neutral('bool', 1), neutral('bool', true), neutral('bool', 0)]).toEqual([
    true,
    true,
    false,
  ])
  expect([neutral('ints', '[1,2]'), neutral('int', '7'), neutral('text', 'a\0')]).toEqual([
    [1, 2],
    7,
    'a\ufffd',
  ])
  for (const kind of ['int', 'text', 'bool', 'bytes', 'json', 'ints'] as const)
    expect(neutral(kind, null)).toBeNull()
})

test('tables come after those that they refer to', () => {
  const order = TABLES.map(({ name }) => name)
  expect(order.indexOf('limits')).toBeGreaterThan(order.indexOf('keys'))
  expect(order.indexOf('counters')).toBeGreaterThan(order.indexOf('limits'))
})

/** What an engine has for itself, and why it is not copied. */
const OWN: Readonly<Record<string, string>> = {
  holds: 'become calls',
  'counters.retired_seq': 'only whether there is one',
  'counters.retired_at': 'only whether there is one',
  call_blocks: 'SQLite finds calls by them; made from the calls',
  'usage_hourly.id': 'nothing refers to it',
  'counters.held': 'nothing is in flight',
  in_flight: 'nothing is in flight',
  replicas: 'nobody serves',
  chores: 'what is due is found out anew',
  'upstreams.revision': 'replicas compare it; any number does',
  installation: 'the first replica makes it',
}

function columnsOf(schema: object): string[] {
  const tables = Object.values(schema).filter((one) => is(one, PgTable) || is(one, SQLiteTable))
  return tables.flatMap((table) => {
    const name = getTableName(table)
    return Object.values(getTableColumns(table)).map((column) => `${name}.${column.name}`)
  })
}

test('every column of both schemas is moved, or named here with a reason', () => {
  const moved = TABLES.flatMap(({ name, columns }) =>
    columns.map((column) => `${name}.${column.name}`),
  )
  const isOwn = (column: string) =>
    OWN[column] !== undefined || OWN[column.split('.')[0] ?? ''] !== undefined
  const [ofSqlite, ofPostgres] = [
    [...columnsOf(sqlite), ...columnsOf(sqliteBooks)],
    [...columnsOf(postgres), ...columnsOf(postgresBooks)],
  ]
  for (const columns of [ofSqlite, ofPostgres])
    expect(columns.filter((column) => !moved.includes(column) && !isOwn(column))).toEqual([])
  const lacking = (columns: string[]) => moved.filter((column) => !columns.includes(column))
  expect(lacking(ofSqlite)).toEqual(['counters.unit', 'counters.retired'])
  expect(lacking(ofPostgres)).toEqual(['counters.retired'])
  const idle = Object.keys(OWN).filter(
    (own) => ![...ofSqlite, ...ofPostgres].some((one) => one === own || one.startsWith(`${own}.`)),
  )
  expect(idle).toEqual([])
})
