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

export function usage(parts: readonly string[]): string {
  return `Usage: bun run bench [options]

Measures dist/quota-proxy beside bare proxies and other programs, says which bars it reaches, and writes
bench/README.md. Takes about forty minutes and 4 GB of disk in TMPDIR.

  --only <parts>     some of these, with commas between; writes to dist/bench instead:
                     ${parts.join(', ')}
  --peers            installs Portkey (npm) and LiteLLM (PyPI) into a directory of the run's own, to measure them
                     as well; nginx, HAProxy and Caddy are measured where they are installed
  --rounds <n>       rounds of each measurement (default ${FULL.rounds})
  --seconds <n>      seconds of each round (default ${FULL.seconds})
  --quick            2 rounds of 2 s, small databases; writes to dist/bench instead
  --help             show this`
}

const FULL: Settings = {
  rounds: 5,
  seconds: 5,
  keys: 1_000_000,
  calls: 10_000_000,
  starts: 10,
  peers: false,
}
const QUICK: Settings = {
  rounds: 2,
  seconds: 2,
  keys: 100_000,
  calls: 1_000_000,
  starts: 3,
  peers: false,
}

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
        peers: { type: 'boolean', default: false },
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
    return {
      kind: 'run',
      settings: { ...base, rounds, seconds, peers: values.peers },
      parts,
      published,
    }
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
