/** `quota-proxy calls`: the ledger, call by call. */
import type { Command } from 'commander'
import { type AdminOptions, administer, ask, examples, Misuse, withServer } from './admin.ts'
import { asJson } from './input.ts'
import { keyReference } from './keys/reference.ts'
import { pages, printArray, printTable, readLimit } from './list.ts'
import type { Session } from './program.ts'
import { type Column, count, money, renderMembers, time } from './table.ts'

type Options = AdminOptions & {
  readonly key?: string
  readonly limit?: number
  readonly all?: boolean
}

type Units = { readonly reserved: number; readonly charged: number }

export type Call = {
  readonly id: string
  readonly key_id: string
  readonly at: string
  readonly upstream: string
  readonly request_id: string
  readonly outcome: string
  readonly status: number | null
  readonly why: string
  readonly requests: Units
  readonly tokens: Units & { readonly input: number | null; readonly output: number | null }
  readonly cost: Units
  readonly model: string | null
  readonly estimated: boolean
  readonly latency_ms: number
  readonly bytes_in: number
  readonly bytes_out: number
}

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

export function addCalls(program: Command, session: Session): void {
  const command = program
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
    .option('--limit <number>', `how many at most; ${LIMIT} unless given`, readLimit)
    .option('--all', 'all that the ledger holds')
    .action(async (id: string | undefined, options: Options) => {
      const { key: argument, limit, all, json } = options
      if (id !== undefined && (argument ?? limit ?? all) !== undefined)
        throw new Misuse('--key, --limit and --all are for the list of calls.')
      if (all && limit !== undefined) throw new Misuse('Choose one of --all and --limit.')
      const key = argument === undefined ? undefined : await keyReference(argument)
      await administer(session, options, async (admin) => {
        if (id !== undefined) {
          const call = await ask<Call>(admin, 'GET', `/admin/calls/${encodeURIComponent(id)}`)
          session.io.out(json ? asJson(call) : renderCall(call))
          return
        }
        const found = pages<Call>(admin, '/admin/calls', { key }, all ? Infinity : (limit ?? LIMIT))
        if (json) return await printArray(session, found)
        await printTable(session, found, COLUMNS, 'There are no calls.')
      })
    })
  examples(
    withServer(command),
    'quota-proxy calls',
    'quota-proxy calls call_258',
    'quota-proxy calls --key key_4hXcQ0m2VtYb7LrKp9Zs --all --json',
  )
}

function renderCall(call: Call): string {
  const { tokens } = call
  const units = ({ reserved, charged }: Units) =>
    `${count(charged)} charged, ${count(reserved)} reserved`
  const reported =
    tokens.input === null && tokens.output === null
      ? ''
      : `; reported ${tokens.input ?? 0} in, ${tokens.output ?? 0} out`
  return renderMembers([
    ['id', call.id],
    ['key', call.key_id],
    ['at', `${time(call.at)} UTC`],
    ['upstream', call.upstream],
    ['request', call.request_id],
    ['outcome', call.outcome],
    ['status', call.status],
    ['why', call.why],
    ['requests', units(call.requests)],
    ['tokens', `${units(tokens)}${reported}${call.estimated ? '; as estimated' : ''}`],
    ['cost', `${money(call.cost.charged)} charged, ${money(call.cost.reserved)} reserved`],
    ['model', call.model],
    ['took', `${count(call.latency_ms)} ms`],
    ['bytes', `${count(call.bytes_in)} in, ${count(call.bytes_out)} out`],
  ])
}
