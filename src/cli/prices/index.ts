/** `quota-proxy prices`: what the models of an upstream cost, and where such prices come from. */
import type { AdminOptions, CliCommand, JsonOption, Run } from '../command.ts'
import { wrapped } from '../output/lines.ts'
import { asJson, printTable } from '../output/list.ts'
import { type Column, terminalWidth } from '../output/table.ts'
import type { Session } from '../session.ts'
import { addPriceImport } from './import.ts'
import { PRICE_COLUMNS, unitsOf } from './money.ts'
import { findPreset, listPresets, type Preset } from './presets.ts'

export function addPrices(program: CliCommand): void {
  const prices = program
    .command('prices')
    .summary('manage the prices of models')
    .description('Enter and look at what the models of an upstream cost.')
  addPriceImport(prices)
  addList(prices)
  addPresets(prices)
}

function addList(prices: CliCommand): void {
  prices
    .command('list')
    .summary('list the prices of an upstream')
    .description('List the prices of an upstream in their order.')
    .requiredOption('--upstream <name>', 'whose prices')
    .json()
    .usesApi(
      async ({
        session,
        api,
        options,
        list,
      }: Run<AdminOptions & { readonly upstream: string }>) => {
        const { upstream: name, json } = options
        const { prices: found } = await api.ask('GET /admin/upstreams/:name', { name })
        const none = `${name} has no prices.`
        if (json) await list([found], [], none)
        else {
          const currency = await api.currency()
          await list([found.map((to) => ({ from: null, to }))], PRICE_COLUMNS, none)
          if (found.length > 0) sayUnits(session, unitsOf(currency))
        }
      },
    )
    .examples('quota-proxy prices list --upstream openai')
}

const COLUMNS: readonly Column<Preset>[] = [
  { head: 'NAME', of: ({ name }) => name },
  { head: 'VENDOR', of: ({ vendor }) => vendor },
  { head: 'MODELS', of: ({ prices }) => prices.length, right: true, drops: 1 },
  { head: 'CURRENCY', of: ({ currency }) => currency, drops: 3 },
  { head: 'AS OF', of: ({ as_of }) => as_of, drops: 2 },
  { head: 'SOURCE', of: ({ source }) => source, wraps: Number.POSITIVE_INFINITY },
]

const CHECK = "Vendors change their prices: compare with the vendor's page before you rely on one."

function addPresets(prices: CliCommand): void {
  prices
    .command('presets')
    .summary('list the price lists that ship with the program')
    .description(
      'List the price lists of common vendors that ship with the program, or the prices of one, each with its day and source. None is in force before "quota-proxy prices import --preset" enters it.',
    )
    .argument('[name]', 'show the prices of this one')
    .json()
    .action((name: string | undefined, { json = false }: JsonOption) =>
      showPresets(prices.session, name, json),
    )
    .examples('quota-proxy prices presets', 'quota-proxy prices presets anthropic')
}

async function showPresets(session: Session, name: string | undefined, json: boolean) {
  const { io } = session
  const found = name === undefined ? listPresets() : findPreset(name)
  if (json) return io.out(asJson(found))
  if ('prices' in found) {
    const rows = found.prices.map((to) => ({ from: null, to }))
    await printTable(session, [rows], PRICE_COLUMNS, '')
    sayUnits(session, `${unitsOf(found.currency)} ${found.as_of}, ${found.source}`)
  } else await printTable(session, [found], COLUMNS, '')
  io.err(`${wrapped(CHECK, terminalWidth(session))}\n`)
}

function sayUnits(session: Session, units: string): void {
  session.io.out(`${wrapped(units, terminalWidth(session))}\n`)
}
