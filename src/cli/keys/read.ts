/** `quota-proxy keys list|show|adjustments|export`. */
import { Option } from 'commander'
import type { Answer, Api, Given } from '../api.ts'
import type { AdminOptions, CliCommand, Run } from '../command.ts'
import { readCount } from '../input.ts'
import { amount, money, time } from '../output/format.ts'
import { printArray } from '../output/list.ts'
import type { Column } from '../output/table.ts'
import { KEY_ARGUMENT, keyGiven } from './reference.ts'
import { KEY_COLUMNS, type Key, keyRenderer } from './show.ts'

type Filter = Omit<Given<'GET /admin/keys'>, 'limit' | 'after'> & { readonly limit?: number }

type Options = AdminOptions & Filter

type Adjustment = Answer<'GET /admin/keys/:key/adjustments'>['data'][number]

const adjustmentColumns = (shown: (one: Adjustment) => string): readonly Column<Adjustment>[] => [
  { head: 'AT (UTC)', of: ({ at }) => time(at) },
  { head: 'KIND', of: ({ kind }) => kind },
  { head: 'LIMIT', of: ({ limit }) => limit },
  { head: 'AMOUNT', of: shown, right: true },
  { head: 'REASON', of: ({ reason }) => reason, wraps: true },
]

export function addKeyReaders(keys: CliCommand): void {
  filtered(keys.command('list'))
    .summary('list keys')
    .description('List keys, the newest first. Secrets are never shown again. --json is one array.')
    .json()
    .usesApi(({ api, options, list }: Run<Options>) =>
      list(find(api, options), KEY_COLUMNS, 'There are no such keys.'),
    )
    .examples(
      'quota-proxy keys list',
      'quota-proxy keys list --status expired --tag course-2026',
      "quota-proxy keys list --json | jq -r '.[] | select(.remaining == 0).name'",
    )
  keys
    .command('show')
    .summary('show a key')
    .description('Show everything about a key but its secret, with what every limit has granted.')
    .argument('<key>', KEY_ARGUMENT)
    .json()
    .usesApi(async ({ api, show }, argument: string) =>
      show(await api.ask('GET /admin/keys/:key', await keyGiven(api, argument)), keyRenderer(api)),
    )
    .examples('quota-proxy keys show key_4hXcQ0m2VtYb7LrKp9Zs', 'quota-proxy keys show - < key.txt')
  addAdjustments(keys)
  addExport(keys)
}

function addAdjustments(keys: CliCommand): void {
  keys
    .command('adjustments')
    .summary('list the credits and resets of a key')
    .description('List what was done to the limits of a key by hand, the newest first.')
    .argument('<key>', KEY_ARGUMENT)
    .option('--limit <number>', 'how many at most', readCount)
    .json()
    .usesApi(async ({ api, options, list }: Run<Options>, argument: string) => {
      const given = await keyGiven(api, argument)
      const found = api.pages('GET /admin/keys/:key/adjustments', given, options.limit)
      const columns = adjustmentColumns(options.json ? () => '' : await amountsOf(api, given))
      await list(found, columns, 'Nothing was done by hand.')
    })
    .examples('quota-proxy keys adjustments key_4hXcQ0m2VtYb7LrKp9Zs')
}

/** Of a limit that is gone, only the name that limits in cost are given tells of money. */
async function amountsOf(
  api: Api,
  given: Given<'GET /admin/keys/:key'>,
): Promise<(one: Adjustment) => string> {
  const { limits } = await api.ask('GET /admin/keys/:key', given)
  const currency = await api.currency()
  const isMoney = (name: string) =>
    (limits.find((limit) => limit.name === name)?.unit ?? name.split('-')[0]) === 'cost'
  return (one) => (isMoney(one.limit) ? `${money(one.amount)} ${currency}` : amount(one.amount))
}

function addExport(keys: CliCommand): void {
  filtered(keys.command('export'))
    .summary('write keys as "keys import" reads them')
    .description(
      'Write keys as a JSON array of what "keys import" takes: name, limits, expiry, restrictions, tags. Neither secrets nor what was used are in it, so importing issues new keys. To move an installation with its keys, copy the data directory.',
    )
    .usesApi(({ session, api, options }: Run<Options>) =>
      printArray(session, importable(find(api, options))),
    )
    .examples(
      'quota-proxy keys export > keys.json',
      'quota-proxy keys export --tag course-2026 > course.json',
    )
}

function filtered(command: CliCommand): CliCommand {
  return command
    .addOption(
      new Option('--status <status>', 'only these').choices(['active', 'disabled', 'expired']),
    )
    .option('--tag <tag>', 'only those with this tag')
    .option('--q <text>', 'only those with this in their name, or this id')
    .option('--limit <number>', 'how many at most', readCount)
}

function find(api: Api, { status, tag, q, limit }: Filter): AsyncGenerator<readonly Key[]> {
  return api.pages('GET /admin/keys', { status, tag, q }, limit)
}

/** What `POST /admin/keys` takes of what it shows. */
const SETTINGS = [
  'name', 'quota', 'window', 'timezone', 'week_start', 'expires_at', 'concurrency', 'reserve_max', 'upstreams', 'methods',
  'paths', 'models', 'ip_allow', 'enabled', 'tags', 'metadata',
] // biome-ignore format: one row of names
const LIMIT_SETTINGS = ['name', 'unit', 'amount', 'window', 'timezone', 'week_start']

async function* importable(found: AsyncIterable<readonly Key[]>) {
  for await (const rows of found) {
    yield rows.map((key) => {
      const [main, ...others] = key.limits
      const limits = others.map((limit) => picked(limit, LIMIT_SETTINGS))
      return { ...picked({ ...main, ...key }, SETTINGS), ...(limits.length > 0 && { limits }) }
    })
  }
}

function picked(value: object, names: readonly string[]): object {
  return Object.fromEntries(Object.entries(value).filter(([name]) => names.includes(name)))
}
