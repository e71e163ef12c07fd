/** `quota-proxy usage`: what each key has used. */
import { csvRow } from '../lib/text/csv.ts'
import type { Answer } from './api.ts'
import type { AdminOptions, CliCommand, Run } from './command.ts'
import { readCount } from './input.ts'
import { keyGiven } from './keys/reference.ts'
import { amount, bytes, money, time } from './output/format.ts'
import type { Column } from './output/table.ts'
import { Misuse, type Session } from './session.ts'

type Options = AdminOptions & {
  readonly key?: string
  readonly from?: string
  readonly to?: string
  readonly limit?: number
  readonly csv?: boolean
}

type Usage = Answer<'GET /admin/usage'>['data'][number]

const CSV_COLUMNS = [
  'id', 'hint', 'name', 'status', 'quota', 'used', 'remaining', 'resets_at', 'expires_at', 'last_used_at', 'calls',
  'failed', 'estimated', 'requests', 'tokens', 'cost', 'bytes_in', 'bytes_out',
] as const satisfies readonly (keyof Usage)[] // biome-ignore format: one row of names

const COLUMNS: readonly Column<Usage>[] = [
  { head: 'ID', of: ({ id }) => id },
  { head: 'NAME', of: ({ name }) => name, shrinks: true },
  { head: 'USED', of: ({ used }) => used, right: true },
  { head: 'QUOTA', of: ({ quota }) => amount(quota), right: true },
  { head: 'CALLS', of: ({ calls }) => calls, right: true },
  { head: 'FAILED', of: ({ failed }) => failed, right: true },
  { head: 'ESTIMATED', of: ({ estimated }) => estimated, right: true },
  { head: 'REQUESTS', of: ({ requests }) => requests, right: true },
  { head: 'TOKENS', of: ({ tokens }) => tokens, right: true },
  { head: 'COST', of: ({ cost }) => money(cost), right: true },
  { head: 'IN', of: ({ bytes_in }) => bytes(bytes_in), right: true },
  { head: 'OUT', of: ({ bytes_out }) => bytes(bytes_out), right: true },
  { head: 'LAST USED (UTC)', of: ({ last_used_at }) => time(last_used_at) },
]

export function addUsage(program: CliCommand): void {
  program
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
    .option('--limit <number>', 'how many keys at most', readCount)
    .option('--csv', 'print CSV')
    .json()
    .usesApi(showUsage)
    .examples(
      'quota-proxy usage',
      'quota-proxy usage --from 2026-11-01T00:00:00Z --to 2026-12-01T00:00:00Z --csv > november.csv',
      'quota-proxy usage --key key_4hXcQ0m2VtYb7LrKp9Zs --json',
    )
}

async function showUsage({ session, api, options, list }: Run<Options>): Promise<void> {
  const { json, csv, key, from, to, limit } = options
  if (json && csv) throw new Misuse('Choose one of --json and --csv.')
  const given = key === undefined ? {} : await keyGiven(key)
  const found = api.pages('GET /admin/usage', { ...given, from, to }, limit)
  if (csv) await printCsv(session, found)
  else await list(found, COLUMNS, 'There are no keys.')
}

async function printCsv({ io }: Session, found: AsyncIterable<readonly Usage[]>): Promise<void> {
  io.out(csvRow(CSV_COLUMNS))
  for await (const rows of found) {
    io.out(rows.map((row) => csvRow(CSV_COLUMNS.map((name) => row[name]))).join(''))
    await io.flush?.()
  }
}
