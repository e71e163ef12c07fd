/** The command line of the benchmark. Pure. */
import { parseArgs } from 'node:util'
import type { Settings } from './section.ts'

export type Options = {
  readonly kind: 'run'
  readonly settings: Settings
  /** Which parts to measure. */
  readonly parts: readonly string[]
  /** Whether this is the run that bench/README.md may state; a smaller one may not replace it. */
  readonly published: boolean
}

export type OptionsResult =
  | Options
  | { readonly kind: 'help' }
  | { readonly kind: 'problem'; readonly problem: string }

export const USAGE = `Usage: bun run bench [options]

Measures dist/quota-proxy beside a bare proxy and nginx, and writes bench/README.md.
Takes about twenty minutes and 3 GB of disk in TMPDIR.

  --only <parts>     some of call, pass, parse, stages, flat, start, backup, block, ask, crowd; writes to
                     dist/bench instead
  --rounds <n>       rounds of each measurement (default 5)
  --seconds <n>      seconds of each round (default 5)
  --quick            2 rounds of 2 s, small databases; writes to dist/bench instead
  --help             show this`

const FULL: Settings = {
  rounds: 5,
  seconds: 5,
  keys: 1_000_000,
  calls: 10_000_000,
  starts: 10,
}
const QUICK: Settings = { rounds: 2, seconds: 2, keys: 100_000, calls: 1_000_000, starts: 3 }

/** Past it a number is a typing error. */
const NUMBER_MAX = 100

export function readOptions(args: readonly string[], known: readonly string[]): OptionsResult {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        only: { type: 'string' },
        rounds: { type: 'string' },
        seconds: { type: 'string' },
        quick: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    })
    if (values.help) return { kind: 'help' }
    const parts = values.only?.split(',') ?? known
    const unknown = parts.find((part) => !known.includes(part))
    if (unknown !== undefined) throw new Error(`There is no part "${unknown}".`)
    const base = values.quick ? QUICK : FULL
    const rounds = wholeNumber('rounds', values.rounds) ?? base.rounds
    const seconds = wholeNumber('seconds', values.seconds) ?? base.seconds
    const published = !values.quick && values.only === undefined
    return { kind: 'run', settings: { ...base, rounds, seconds }, parts, published }
  } catch (error) {
    return { kind: 'problem', problem: error instanceof Error ? error.message : String(error) }
  }
}

function wholeNumber(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const value = Number(text)
  if (Number.isInteger(value) && value >= 1 && value <= NUMBER_MAX) return value
  throw new Error(`--${name} must be a whole number from 1 to ${NUMBER_MAX}.`)
}
