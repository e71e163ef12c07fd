/** `quota-proxy calls`: the ledger, call by call. */
import type { Answer } from './api.ts'
import type { AdminOptions, CliCommand, Run } from './command.ts'
import { readCount } from './input.ts'
import { keyGiven } from './keys/reference.ts'
import { count, money, time, utc } from './output/format.ts'
import { type Column, renderMembers } from './output/table.ts'
import { Misuse } from './session.ts'

type Options = AdminOptions & {
  readonly key?: string
  readonly limit?: number
  readonly all?: boolean
}

export type Call = Answer<'GET /admin/calls/:id'>

/** There may be millions, and the newest are the ones that are asked for. */
const LIMIT = 50

const COLUMNS: readonly Column<Call>[] = [
  { head: 'ID', of: ({ id }) => id },
  { head: 'AT (UTC)', of: ({ at }) => time(at) },
  { head: 'KEY', of: ({ key_id }) => key_id },
  { head: 'UPSTREAM', of: ({ upstream }) => upstream },
  { head: 'OUTCOME', of: ({ outcome }) => outcome },
  { head: 'STATUS', of: ({ status }) => status, right: true },
  { head: 'REQUESTS', of: ({ requests }) => requests.charged, right: true },
  { head: 'TOKENS', of: ({ tokens }) => tokens.charged, right: true },
  { head: 'COST', of: ({ cost }) => money(cost.charged), right: true },
  { head: 'MS', of: ({ latency_ms }) => latency_ms, right: true },
  { head: 'MODEL', of: ({ model }) => model, shrinks: true },
]

export function addCalls(program: CliCommand): void {
  program
    .command('calls')
    .summary('the ledger, call by call')
    .description(
      'List the calls that have ended, the newest first, or show one of them: what was reserved, what was charged, and why. --json is one array, or one call.',
    )
    .argument('[id]', 'the X-Quota-Charge-Id of an answer, such as call_258')
    .option(
      '--key <key>',
      'only calls of this key: its id, or - to read the whole key from standard input',
    )
    .option('--limit <number>', `how many at most; ${LIMIT} unless given`, readCount)
    .option('--all', 'all that the ledger holds')
    .json()
    .usesApi(showCalls)
    .examples(
      'quota-proxy calls',
      'quota-proxy calls call_258',
      'quota-proxy calls --key key_4hXcQ0m2VtYb7LrKp9Zs --all --json',
    )
}

async function showCalls({ api, options, show, list }: Run<Options>, id: string | undefined) {
  const { key, limit, all } = options
  if (id !== undefined) {
    if ((key ?? limit ?? all) !== undefined)
      throw new Misuse('--key, --limit and --all are for the list of calls.')
    return await show(await api.ask('GET /admin/calls/:id', { id }), renderCall)
  }
  if (all && limit !== undefined) throw new Misuse('Choose one of --all and --limit.')
  const given = key === undefined ? {} : await keyGiven(api, key)
  const found = api.pages('GET /admin/calls', given, all ? undefined : (limit ?? LIMIT))
  await list(found, COLUMNS, 'There are no calls.')
}

function renderCall(call: Call): string {
  const { requests, tokens, cost } = call
  const units = ({ reserved, charged }: Call['requests'], shown = count) =>
    `${shown(charged)} charged, ${shown(reserved)} reserved`
  const reported =
    tokens.input === null && tokens.output === null
      ? ''
      : `; reported ${tokens.input ?? 0} in, ${tokens.output ?? 0} out`
  return renderMembers([
    ['id', call.id],
    ['key', call.key_id],
    ['at', utc(call.at)],
    ['upstream', call.upstream],
    ['request', call.request_id],
    ['outcome', call.outcome],
    ['status', call.status],
    ['why', call.why],
    ['requests', units(requests)],
    ['tokens', `${units(tokens)}${reported}${call.estimated ? '; as estimated' : ''}`],
    ['cost', units(cost, money)],
    ['model', call.model],
    ['took', `${count(call.latency_ms)} ms`],
    ['bytes', `${count(call.bytes_in)} in, ${count(call.bytes_out)} out`],
  ])
}
