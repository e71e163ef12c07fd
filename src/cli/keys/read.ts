/** `quota-proxy keys list|show|adjustments|export`. */
import { type Command, Option } from 'commander'
import { type AdminOptions, administer, ask, examples, withServer } from '../admin.ts'
import { asJson } from '../input.ts'
import { pages, printArray, printTable, readLimit } from '../list.ts'
import type { Session } from '../program.ts'
import { amount, type Column, time } from '../table.ts'
import { KEY_ARGUMENT, keyPath } from './reference.ts'
import { KEY_COLUMNS, type Key, renderKey } from './show.ts'

type ListOptions = AdminOptions & {
  readonly status?: string
  readonly tag?: string
  readonly q?: string
  readonly limit?: number
}

type Adjustment = {
  readonly at: string
  readonly kind: string
  readonly limit: string
  readonly amount: number
  readonly reason: string
}

const ADJUSTMENT_COLUMNS: readonly Column<Adjustment>[] = [
  { head: 'AT (UTC)', of: ({ at }) => time(at) },
  { head: 'KIND', of: ({ kind }) => kind },
  { head: 'LIMIT', of: ({ limit }) => limit },
  { head: 'AMOUNT', of: (adjustment) => amount(adjustment.amount), right: true },
  { head: 'REASON', of: ({ reason }) => reason, shrinks: true },
]

export function addKeyReaders(keys: Command, session: Session): void {
  addList(keys, session)
  addShow(keys, session)
  addAdjustments(keys, session)
  addExport(keys, session)
}

function addList(keys: Command, session: Session): void {
  const list = filters(keys.command('list').summary('list keys'))
    .description('List keys, the newest first. Secrets are never shown again. --json is one array.')
    .action(async (options: ListOptions) => {
      await administer(session, options, async (admin) => {
        const { status, tag, q, limit } = options
        const found = pages<Key>(admin, '/admin/keys', { status, tag, q }, limit)
        if (options.json) return await printArray(session, found)
        await printTable(session, found, KEY_COLUMNS, 'There are no such keys.')
      })
    })
  examples(
    withServer(list),
    'quota-proxy keys list',
    'quota-proxy keys list --status expired --tag course-2026',
    "quota-proxy keys list --json | jq -r '.[] | select(.remaining == 0).name'",
  )
}

function addShow(keys: Command, session: Session): void {
  const show = keys
    .command('show')
    .summary('show a key')
    .description('Show everything about a key but its secret, with what every limit has granted.')
    .argument('<key>', KEY_ARGUMENT)
    .action(async (argument: string, options: AdminOptions) => {
      const path = await keyPath(argument)
      await administer(session, options, async (admin) => {
        const key = await ask<Key>(admin, 'GET', path)
        session.io.out(options.json ? asJson(key) : await renderKey(key))
      })
    })
  examples(
    withServer(show),
    'quota-proxy keys show key_4hXcQ0m2VtYb7LrKp9Zs',
    'quota-proxy keys show - < key.txt',
  )
}

function addAdjustments(keys: Command, session: Session): void {
  const adjustments = keys
    .command('adjustments')
    .summary('list the credits and resets of a key')
    .description('List what was done to the limits of a key by hand, the newest first.')
    .argument('<key>', KEY_ARGUMENT)
    .option('--limit <number>', 'how many at most', readLimit)
    .action(async (argument: string, options: AdminOptions & { limit?: number }) => {
      const path = await keyPath(argument)
      await administer(session, options, async (admin) => {
        const found = pages<Adjustment>(admin, `${path}/adjustments`, {}, options.limit)
        if (options.json) return await printArray(session, found)
        await printTable(session, found, ADJUSTMENT_COLUMNS, 'Nothing was done by hand.')
      })
    })
  examples(withServer(adjustments), 'quota-proxy keys adjustments key_4hXcQ0m2VtYb7LrKp9Zs')
}

function addExport(keys: Command, session: Session): void {
  const exporting = filters(
    keys.command('export').summary('write keys as "keys import" reads them'),
  )
    .description(
      'Write keys as a JSON array of what "keys import" takes: name, limits, expiry, restrictions, tags. Neither secrets nor what was used are in it, so importing issues new keys. To move an installation with its keys, copy the data directory.',
    )
    .action(async (options: ListOptions) => {
      await administer(session, options, async (admin) => {
        const { status, tag, q, limit } = options
        const found = pages<Key>(admin, '/admin/keys', { status, tag, q }, limit)
        await printArray(session, importable(found))
      })
    })
  examples(
    withServer(exporting, false),
    'quota-proxy keys export > keys.json',
    'quota-proxy keys export --tag course-2026 > course.json',
  )
}

function filters(command: Command): Command {
  return command
    .addOption(
      new Option('--status <status>', 'only these').choices(['active', 'disabled', 'expired']),
    )
    .option('--tag <tag>', 'only those with this tag')
    .option('--q <text>', 'only those with this in their name, or this id')
    .option('--limit <number>', 'how many at most', readLimit)
}

/** What `POST /admin/keys` takes of what it shows. */
const SETTINGS = [
  'name', 'quota', 'window', 'timezone', 'week_start', 'expires_at', 'concurrency', 'upstreams', 'methods', 'paths',
  'models', 'ip_allow', 'enabled', 'tags', 'metadata',
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
