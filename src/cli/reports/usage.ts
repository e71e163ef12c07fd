/** `quota-proxy usage`: what each key has used, or sums by time, key, upstream, model or tag. */
import { millionths } from '../../lib/text/decimal.ts'
import type { Answer } from '../api.ts'
import type { AdminOptions, CliCommand, Run } from '../command.ts'
import { readCount } from '../input.ts'
import { reportedKey } from '../keys/reference.ts'
import { amount, bytes, money, time } from '../output/format.ts'
import { asJson, printTable } from '../output/list.ts'
import type { Column } from '../output/table.ts'
import { Misuse, type Session, settings } from '../session.ts'
import {
  checkForms,
  printSheet,
  type ReportOptions,
  rangeOf,
  reportForms,
  type SheetColumn,
} from './sheet.ts'

type Options = AdminOptions &
  ReportOptions & {
    readonly key?: string
    readonly tag?: string
    readonly upstream?: string
    readonly model?: string
    readonly by?: string
    readonly tz?: string
    readonly limit?: number
  }

type Row = Answer<'GET /admin/usage'>['data'][number]
type Usage = Extract<Row, { quota: unknown }>
type Group = Exclude<Row, Usage>
type Sums = Pick<
  Group,
  'calls' | 'failed' | 'requests' | 'tokens' | 'cost' | 'bytes_in' | 'bytes_out' | 'estimated'
>

type Groups = { readonly data: readonly Group[]; readonly total: Sums; readonly currency: string }

const SUMS = [
  'calls', 'failed', 'requests', 'tokens', 'cost', 'bytes_in', 'bytes_out', 'estimated',
] as const satisfies readonly (keyof Sums)[] // biome-ignore format: one row of names

const KEY_NAMES = [
  'id', 'hint', 'name', 'status', 'quota', 'used', 'remaining', 'resets_at', 'expires_at', 'last_used_at', ...SUMS,
] as const satisfies readonly (keyof Usage)[] // biome-ignore format: one row of names

const sumColumnsIn = (currency: string): readonly Column<Sums>[] => [
  { head: 'CALLS', of: ({ calls }) => calls, right: true },
  { head: 'FAILED', of: ({ failed }) => failed, right: true, drops: 3 },
  { head: 'REQUESTS', of: ({ requests }) => requests, right: true, drops: 4 },
  { head: 'TOKENS', of: ({ tokens }) => tokens, right: true },
  { head: `COST (${currency})`, of: ({ cost }) => money(cost), right: true },
  { head: 'IN', of: (sums) => bytes(sums.bytes_in), right: true, drops: 6 },
  { head: 'OUT', of: (sums) => bytes(sums.bytes_out), right: true, drops: 6 },
]

const keyColumnsIn = (currency: string): readonly Column<Usage>[] => [
  { head: 'NAME', of: ({ name }) => name, wraps: true },
  { head: 'ID', of: ({ id }) => id, drops: 5 },
  { head: 'STATUS', of: ({ status }) => status, drops: 2 },
  { head: 'USED', of: ({ used }) => used, right: true },
  { head: 'QUOTA', of: ({ quota }) => amount(quota), right: true },
  ...sumColumnsIn(currency),
  { head: 'LAST USED (UTC)', of: ({ last_used_at }) => time(last_used_at), drops: 4 },
]

export function addUsage(program: CliCommand): void {
  const usage = program
    .command('usage')
    .summary('what keys have used')
    .description(
      'Show for each key the use of the present window, and the sums of calls, units and bytes: of all time, or of the hours that begin in a range. With --by, sums of all keys together, of the last 30 days unless --from says otherwise; --tag, --upstream, --model and --tz mean --by key. A deleted key stays as long as its sums. --json is one array, or with --by one object with the total.',
    )
    .option(
      '--key <key>',
      'only this key, deleted or not: its id or name, or - to read the key from standard input',
    )
    .option('--tag <tag>', 'only keys with this tag')
    .option('--upstream <name>', 'only calls to this upstream')
    .option('--model <name>', 'only calls of this model')
    .option('--from <when>', 'only hours from then on: a day, an instant, or so long ago as in 7d')
    .option('--to <when>', 'only hours before then')
    .option(
      '--by <what>',
      'hour, day, week, month, key, upstream, model or tag; or two, as in month,model',
    )
    .option('--tz <zone>', 'zone of days, weeks and months; DEFAULT_TIMEZONE unless given')
    .option('--limit <number>', 'how many keys at most', readCount)
  reportForms(usage)
    .usesApi(showUsage)
    .examples(
      'quota-proxy usage',
      'quota-proxy usage --from 2026-11-01 --to 2026-12-01 --by key --csv --bom > november.csv',
      'quota-proxy usage --from 30d --by day,model',
      'quota-proxy usage --key trial-user-1 --json',
    )
}

async function showUsage(run: Run<Options>): Promise<void> {
  const { session, api, options, list } = run
  const { key, json, csv, limit, by, tag, upstream, model, tz } = options
  checkForms(options)
  const given = key === undefined ? {} : await reportedKey(run, key)
  const zone = tz ?? settings(session).defaultTimezone
  const range = { ...given, ...rangeOf(options, zone) }
  if ((by ?? tag ?? upstream ?? model ?? tz) === undefined) {
    const found = api.pages('GET /admin/usage', range, limit) as AsyncGenerator<readonly Usage[]>
    const currency = json ? '' : await api.currency()
    if (csv) await printSheet(session, options, found, sheetColumnsIn(currency, KEY_NAMES))
    else await list(found, keyColumnsIn(currency), 'There are no keys.')
    return
  }
  if (limit !== undefined) throw new Misuse('--limit is for the list of keys, not for sums.')
  const answer = await api.ask('GET /admin/usage', {
    ...range,
    // The server may have another zone, and the table is to say in which the days are.
    ...{ by: by ?? 'key', tag, upstream, model, tz: zone },
  })
  const { data, total, currency } = answer as Extract<typeof answer, { total: unknown }>
  if (json) session.io.out(asJson({ data, total, currency }))
  else if (csv) {
    const names = [...placesOf(data), ...SUMS]
    await printSheet(session, options, [data], sheetColumnsIn(currency, names))
  } else await printGroups(session, { data, total, currency }, zone)
}

type Cells<Name extends string> = { readonly [N in Name]?: string | number | null }

/** Money as decimals: a sheet is for people. */
function sheetColumnsIn<Name extends string>(
  currency: string,
  names: readonly Name[],
): readonly SheetColumn<Cells<Name>>[] {
  const columns = names.map((name): SheetColumn<Cells<Name>> => {
    const cellOf = ({ [name]: cell = null }: Cells<Name>) => cell
    return [name, (row) => (name === 'cost' ? millionths(Number(cellOf(row))) : cellOf(row))]
  })
  return [...columns, ['currency', () => currency]]
}

/** In the first column of the last row. */
const TOTAL = 'total'

const PLACES = ['from', 'key_id', 'key_name', 'upstream', 'model', 'tag'] as const

/** What the sums are by. */
function placesOf(groups: readonly Group[]) {
  return PLACES.filter((name) => groups.some((group) => name in group))
}

async function printGroups(
  session: Session,
  { data, total, currency }: Groups,
  zone: string,
): Promise<void> {
  const heads: Readonly<Record<(typeof PLACES)[number], Column<Group>>> = {
    from: {
      head: `FROM (${zone})`,
      of: ({ from = TOTAL }) => (from === TOTAL ? TOTAL : inZone(from, zone)),
    },
    key_id: { head: 'ID', of: ({ key_id }) => key_id ?? null, drops: 5 },
    key_name: { head: 'KEY', of: ({ key_name }) => key_name ?? null, wraps: true },
    upstream: { head: 'UPSTREAM', of: ({ upstream }) => upstream ?? null, wraps: true },
    model: { head: 'MODEL', of: ({ model }) => model ?? null, wraps: true },
    tag: { head: 'TAG', of: ({ tag }) => tag ?? null, wraps: true },
  }
  const places = placesOf(data)
  const columns = [...places.map((name) => heads[name]), ...sumColumnsIn(currency)]
  const [first] = places
  const last = { ...total, ...(first && { [first]: TOTAL }) }
  if (data.length === 0) session.io.err('Nothing was used.\n')
  else await printTable(session, [[...data, last]], columns, '')
}

/** `2026-11-22 10:00`, without the time at midnight. */
function inZone(instant: string, zone: string): string {
  const at = Temporal.Instant.from(instant).toZonedDateTimeISO(zone)
  const clock = at.toPlainTime().toString().slice(0, 5)
  return clock === '00:00' ? at.toPlainDate().toString() : `${at.toPlainDate()} ${clock}`
}
