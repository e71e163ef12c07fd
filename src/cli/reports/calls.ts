/** `quota-proxy calls`: the ledger, call by call. */
import { Option } from 'commander'
import { OUTCOMES, type Outcome } from '../../domain/call.ts'
import { millionths } from '../../lib/text/decimal.ts'
import type { Answer } from '../api.ts'
import type { AdminOptions, CliCommand, Run } from '../command.ts'
import { readCount } from '../input.ts'
import { reportedKey } from '../keys/reference.ts'
import { count, money, time, utc } from '../output/format.ts'
import { renderMembers } from '../output/lines.ts'
import type { Column } from '../output/table.ts'
import { Misuse, settings } from '../session.ts'
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
    readonly status?: string
    readonly outcome?: Outcome
    readonly upstream?: string
    readonly model?: string
    readonly limit?: number
    readonly all?: boolean
  }

export type Call = Answer<'GET /admin/calls/:id'>

/** There may be millions, and the newest are the ones that are asked for. */
const LIMIT = 50

/** On one line, before the columns that say more than others are left out. */
const AT_CHARS = 19

const columnsIn = (currency: string): readonly Column<Call>[] => [
  { head: 'ID', of: ({ id }) => id, drops: 1 },
  { head: 'AT (UTC)', of: ({ at }) => time(at), wraps: AT_CHARS },
  { head: 'KEY', of: ({ key_name }) => key_name, wraps: true },
  { head: 'UPSTREAM', of: ({ upstream }) => upstream, wraps: true, drops: 2 },
  { head: 'MODEL', of: ({ model }) => model, wraps: true },
  { head: 'OUTCOME', of: ({ outcome }) => outcome, dropsLast: 2 },
  { head: 'STATUS', of: ({ status }) => status, right: true },
  { head: 'REQUESTS', of: ({ requests }) => requests.charged, right: true, drops: 4 },
  { head: 'TOKENS', of: ({ tokens }) => tokens.charged, right: true },
  { head: `COST (${currency})`, of: ({ cost }) => money(cost.charged), right: true, dropsLast: 1 },
  { head: 'MS', of: ({ latency_ms }) => latency_ms, right: true, drops: 3 },
]

export function addCalls(program: CliCommand): void {
  const calls = program
    .command('calls')
    .summary('the ledger, call by call')
    .description(
      'List the calls that have ended, the newest first, or show one of them: what was reserved, what was charged, and why. --json is one array, or one call.',
    )
    .argument('[id]', 'the X-Quota-Charge-Id of an answer, such as call_258')
    .option(
      '--key <key>',
      'only calls of this key, deleted or not: its id or name, or - to read the key from standard input',
    )
    .option('--limit <number>', `how many at most; ${LIMIT} unless given`, readCount)
    .option('--all', 'all that the ledger holds')
    .option('--from <when>', 'only calls from then on: a day, an instant, or so long ago as in 7d')
    .option('--to <when>', 'only calls before then')
    .option(
      '--status <status>',
      'only calls with this status of the upstream, or a class as in 5xx',
    )
    .addOption(new Option('--outcome <outcome>', 'only calls that ended so').choices(OUTCOMES))
    .option('--upstream <name>', 'only calls to this upstream')
    .option('--model <name>', 'only calls of this model')
  reportForms(calls)
    .usesApi(showCalls)
    .examples(
      'quota-proxy calls',
      'quota-proxy calls call_258',
      'quota-proxy calls --from 1d --status 5xx',
      'quota-proxy calls --key key_4hXcQ0m2VtYb7LrKp9Zs --all --json',
    )
}

async function showCalls(run: Run<Options>, id: string | undefined): Promise<void> {
  const { session, api, options, show, list } = run
  const { key, limit, all, from, to, status, outcome, upstream, model, csv, bom, json } = options
  const filter = { status, outcome, upstream, model }
  if (id !== undefined) {
    const others = [key, limit, all, from, to, csv, bom, ...Object.values(filter)]
    if (others.some((option) => option !== undefined))
      throw new Misuse('With the id of a call no other option is of use but --json.')
    return await show(await api.ask('GET /admin/calls/:id', { id }), async (call, width) =>
      renderMembers(membersOf(call, await api.currency()), width),
    )
  }
  if (all && limit !== undefined) throw new Misuse('Choose one of --all and --limit.')
  checkForms(options)
  const range = rangeOf(options, settings(session).defaultTimezone)
  const given = key === undefined ? {} : await reportedKey(run, key)
  const most = all ? undefined : (limit ?? LIMIT)
  const found = api.pages('GET /admin/calls', { ...given, ...range, ...filter }, most)
  const currency = json ? '' : await api.currency()
  if (csv) await printSheet(session, options, found, sheetColumnsIn(currency))
  else await list(found, columnsIn(currency), 'There are no calls.')
}

const sheetColumnsIn = (currency: string): readonly SheetColumn<Call>[] => [
  ['id', ({ id }) => id],
  ['at', ({ at }) => at],
  ['key_id', ({ key_id }) => key_id],
  ['key_name', ({ key_name }) => key_name],
  ['upstream', ({ upstream }) => upstream],
  ['model', ({ model }) => model],
  ['outcome', ({ outcome }) => outcome],
  ['status', ({ status }) => status],
  ['requests', ({ requests }) => requests.charged],
  ['tokens', ({ tokens }) => tokens.charged],
  ['tokens_input', ({ tokens }) => tokens.input],
  ['tokens_output', ({ tokens }) => tokens.output],
  ['cost', ({ cost }) => millionths(cost.charged)],
  ['currency', () => currency],
  ['estimated', ({ estimated }) => String(estimated)],
  ['latency_ms', ({ latency_ms }) => latency_ms],
  ['bytes_in', ({ bytes_in }) => bytes_in],
  ['bytes_out', ({ bytes_out }) => bytes_out],
  ['request_id', ({ request_id }) => request_id],
]

function membersOf(call: Call, currency: string) {
  const { requests, tokens, cost } = call
  const units = ({ reserved, charged }: Call['requests'], shown = count) =>
    `${shown(charged)} charged, ${shown(reserved)} reserved`
  const reported =
    tokens.input === null && tokens.output === null
      ? ''
      : `; reported ${tokens.input ?? 0} in, ${tokens.output ?? 0} out`
  return [
    ['id', call.id],
    ['key', `${call.key_name} (${call.key_id})`],
    ['at', utc(call.at)],
    ['upstream', call.upstream],
    ['request', call.request_id],
    ['outcome', call.outcome],
    ['status', call.status],
    ['why', call.why],
    ['requests', units(requests)],
    ['tokens', `${units(tokens)}${reported}${call.estimated ? '; as estimated' : ''}`],
    ['cost', `${units(cost, money)} (${currency})`],
    ['model', call.model],
    ['took', `${count(call.latency_ms)} ms`],
    ['bytes', `${count(call.bytes_in)} in, ${count(call.bytes_out)} out`],
  ] as const
}
