/** `quota-proxy usage`: what each key has used. */
import type { Command } from 'commander'
import { csvRow } from '../lib/text/csv.ts'
import { type AdminOptions, administer, examples, Misuse, withServer } from './admin.ts'
import { keyReference } from './keys/reference.ts'
import { pages, printArray, printTable, readLimit } from './list.ts'
import type { Session } from './program.ts'
import { amount, bytes, type Column, money, time } from './table.ts'

type Options = AdminOptions & {
  readonly key?: string
  readonly from?: string
  readonly to?: string
  readonly limit?: number
  readonly csv?: boolean
}

const CSV_COLUMNS = [
  'id', 'hint', 'name', 'status', 'quota', 'used', 'remaining', 'resets_at', 'expires_at', 'last_used_at', 'calls',
  'failed', 'requests', 'tokens', 'cost', 'bytes_in', 'bytes_out',
] as const // biome-ignore format: one row of names

type Usage = {
  readonly [name in (typeof CSV_COLUMNS)[number]]: name extends 'id' | 'hint' | 'name' | 'status'
    ? string
    : name extends 'resets_at' | 'expires_at' | 'last_used_at'
      ? string | null
      : name extends 'quota' | 'remaining'
        ? number | null
        : number
}

const COLUMNS: readonly Column<Usage>[] = [
  { head: 'ID', of: ({ id }) => id },
  { head: 'NAME', of: ({ name }) => name, shrinks: true },
  { head: 'USED', of: ({ used }) => used, right: true },
  { head: 'QUOTA', of: ({ quota }) => amount(quota), right: true },
  { head: 'CALLS', of: ({ calls }) => calls, right: true },
  { head: 'FAILED', of: ({ failed }) => failed, right: true },
  { head: 'REQUESTS', of: ({ requests }) => requests, right: true },
  { head: 'TOKENS', of: ({ tokens }) => tokens, right: true },
  { head: 'COST', of: ({ cost }) => money(cost), right: true },
  { head: 'IN', of: ({ bytes_in }) => bytes(bytes_in), right: true },
  { head: 'OUT', of: ({ bytes_out }) => bytes(bytes_out), right: true },
  { head: 'LAST USED (UTC)', of: ({ last_used_at }) => time(last_used_at) },
]

export function addUsage(program: Command, session: Session): void {
  const command = program
    .command('usage')
    .summary('what each key has used')
    .description(
      'Show the use of the present window, and the sums of calls, units and bytes: of all time, or of the hours that begin in a range. --json is one array.',
    )
    .option('--key <key>', 'only this key: its id, or - to read the whole key from standard input')
    .option(
      '--from <instant>',
      'only hours that begin at or after this, such as 2026-11-01T00:00:00Z',
    )
    .option('--to <instant>', 'only hours that begin before this')
    .option('--limit <number>', 'how many keys at most', readLimit)
    .option('--csv', 'print CSV')
    .action(async (options: Options) => {
      const { json, csv, from, to, limit } = options
      if (json && csv) throw new Misuse('Choose one of --json and --csv.')
      const key = options.key === undefined ? undefined : await keyReference(options.key)
      await administer(session, options, async (admin) => {
        const found = pages<Usage>(admin, '/admin/usage', { key, from, to }, limit)
        if (json) return await printArray(session, found)
        if (csv) return await printCsv(session, found)
        await printTable(session, found, COLUMNS, 'There are no keys.')
      })
    })
  examples(
    withServer(command),
    'quota-proxy usage',
    'quota-proxy usage --from 2026-11-01T00:00:00Z --to 2026-12-01T00:00:00Z --csv > november.csv',
    'quota-proxy usage --key key_4hXcQ0m2VtYb7LrKp9Zs --json',
  )
}

async function printCsv({ io }: Session, found: AsyncIterable<readonly Usage[]>): Promise<void> {
  io.out(csvRow(CSV_COLUMNS))
  for await (const rows of found) {
    io.out(rows.map((row) => csvRow(CSV_COLUMNS.map((name) => row[name]))).join(''))
    await io.flush?.()
  }
}
