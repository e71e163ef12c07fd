/**
 * `quota-proxy prices import`: enters prices from a table in a file, or those of a preset, and first says what that
 * changes if it is asked to. What cannot be entered exactly is left out, and named.
 */
import { PRICES_MAX } from '../../domain/upstream/price.ts'
import { matchesName } from '../../lib/text/glob.ts'
import type { AdminOptions, CliCommand, Run } from '../command.ts'
import { readInput } from '../input.ts'
import { count } from '../output/format.ts'
import { wrapped } from '../output/lines.ts'
import { type Rendered, renderTable } from '../output/list.ts'
import { type Column, printable } from '../output/table.ts'
import { Misuse } from '../session.ts'
import { type Changes, changesOf, changesSomething } from './changes.ts'
import { type LeftOut, readTable, type Table } from './litellm.ts'
import { PRICE_COLUMNS, type Shift, unitsOf } from './money.ts'
import { findPreset } from './presets.ts'

type Options = AdminOptions & {
  readonly upstream: string
  readonly preset?: string
  readonly provider?: string
  readonly match?: string
  readonly stripPrefix?: boolean
  readonly replace?: boolean
  readonly dryRun?: boolean
}

/** Of the table that LiteLLM publishes. */
const TABLE_CURRENCY = 'USD'

/** More than anyone looks up at once; --json has all of them. */
const SHOWN_LEFT_OUT_MAX = 20

export function addPriceImport(prices: CliCommand): void {
  prices
    .command('import')
    .summary('enter prices from a table or a preset')
    .description(
      'Enter the prices of an upstream from a table of the form that LiteLLM publishes (model_prices_and_context_window.json), or from a preset. A price that the upstream has already is changed, and others stay. What cannot be entered exactly is left out and named. They count for calls from then on.',
    )
    .argument('[file]', 'the table, in decimals of a unit of money; "-" is standard input')
    .requiredOption('--upstream <name>', 'whose prices they are')
    .option('--preset <name>', 'instead of a file; "quota-proxy prices presets" lists them')
    .option('--provider <name>', 'only entries with this litellm_provider')
    .option('--match <glob>', 'only models whose name fits')
    .option('--strip-prefix', 'take the name of the provider and a slash off names')
    .option('--replace', 'remove every price that is not among these')
    .option('--dry-run', 'only say what would change')
    .json()
    .usesApi(importPrices)
    .examples(
      'quota-proxy prices import --preset openai --upstream openai --dry-run',
      "quota-proxy prices import model_prices_and_context_window.json --upstream openai --provider openai --match 'gpt-*'",
      'quota-proxy prices import prices.json --upstream groq --provider groq --strip-prefix --replace',
    )
}

async function importPrices(run: Run<Options>, path: string | undefined): Promise<void> {
  const { api, options } = run
  const { upstream: name, dryRun = false, replace = false } = options
  const { prices, leftOut } = await read(options, path)
  await mustBeIn(run)
  const { prices: before } = await api.ask('GET /admin/upstreams/:name', { name })
  const changes = changesOf(before, prices, replace)
  if (changes.after.length > PRICES_MAX)
    throw new Misuse(
      `There would be ${count(changes.after.length)} prices, and an upstream has ${PRICES_MAX} at most: take fewer with --provider and --match.`,
    )
  if (!dryRun && changesSomething(changes))
    await api.ask('PATCH /admin/upstreams/:name', { name }, { prices: changes.after })
  await report(run, changes, leftOut)
}

/** A price in another currency would be charged as if it were in this one. */
async function mustBeIn({ session, api, options: { preset } }: Run<Options>): Promise<void> {
  const own = await api.currency()
  const theirs = preset === undefined ? own : findPreset(preset).currency
  if (theirs !== own)
    throw new Misuse(
      `The prices of ${preset} are in ${theirs}, and this server's CURRENCY is ${own}. Enter them converted, or set CURRENCY.`,
    )
  if (preset === undefined && own !== TABLE_CURRENCY)
    session.io.err(
      `warning: prices of a file are taken as ${own}, and the table of LiteLLM is in ${TABLE_CURRENCY}.\n`,
    )
}

async function read(options: Options, path: string | undefined): Promise<Table> {
  const { preset, provider, match, stripPrefix } = options
  if ((path === undefined) === (preset === undefined))
    throw new Misuse('Give either a file or --preset.')
  const table =
    preset === undefined
      ? readTable(await readInput(path ?? ''), nameOf(path), { provider, match, stripPrefix })
      : presetTable(preset, options)
  if (table.prices.length > 0) return table
  const [first] = table.leftOut
  throw new Misuse(
    first
      ? `No price can be taken from ${nameOf(path)}. Of ${printable(first.model)}, ${first.reason}.`
      : 'No model fits --provider and --match.',
  )
}

function presetTable(name: string, { provider, match, stripPrefix }: Options): Table {
  if (provider !== undefined || stripPrefix)
    throw new Misuse('--provider and --strip-prefix are for a file.')
  const { prices } = findPreset(name)
  const taken = prices.filter(({ model }) => match === undefined || matchesName(match, model))
  return { prices: taken, leftOut: [] }
}

function nameOf(path: string | undefined): string {
  return path === '-' ? 'Standard input' : (path ?? '')
}

async function report(
  { session, api, options, show }: Run<Options>,
  changes: Changes,
  leftOut: readonly LeftOut[],
): Promise<void> {
  const { upstream, dryRun = false } = options
  const { added, changed, removed, unchanged } = changes
  const result = {
    upstream,
    dry_run: dryRun,
    added,
    changed,
    removed,
    unchanged,
    left_out: leftOut,
  }
  if (!options.json) sayLeftOut(leftOut, session.io.err)
  await show(result, async (_, width) => {
    const counts = `${count(added.length)} added, ${count(changed.length)} changed, ${count(removed.length)} removed, ${count(unchanged)} unchanged`
    if (!dryRun) return `Prices of ${upstream}: ${counts}.\n`
    const { text, note } = changesSomething(changes)
      ? await renderChanges(changes, await api.currency(), width)
      : { text: '', note: '' }
    const sums = wrapped(`Prices of ${upstream}, if this were done: ${counts}.`, width)
    return { text: `${text}${sums}\n`, note }
  })
}

type Row = Shift & { readonly kind: string }

const COLUMNS: readonly Column<Row>[] = [
  { head: 'CHANGE', of: ({ kind }) => kind },
  ...PRICE_COLUMNS,
]

async function renderChanges(
  { added, changed, removed }: Changes,
  currency: string,
  width: number | undefined,
): Promise<Rendered> {
  const rows: readonly Row[] = [
    ...added.map((to) => ({ kind: 'added', from: null, to })),
    ...changed.map(({ from, to }) => ({ kind: 'changed', from, to })),
    ...removed.map((from) => ({ kind: 'removed', from, to: null })),
  ]
  const { text, note } = await renderTable(COLUMNS, rows, width)
  return { text: `${text}${wrapped(unitsOf(currency), width)}\n`, note }
}

function sayLeftOut(leftOut: readonly LeftOut[], err: (text: string) => void): void {
  if (leftOut.length === 0) return
  err(`${count(leftOut.length)} ${leftOut.length === 1 ? 'model is' : 'models are'} left out:\n`)
  for (const { model, reason } of leftOut.slice(0, SHOWN_LEFT_OUT_MAX))
    err(`  - ${printable(model)}: ${printable(reason)}\n`)
  const more = leftOut.length - SHOWN_LEFT_OUT_MAX
  if (more > 0) err(`… and ${count(more)} more, which --json names.\n`)
}
