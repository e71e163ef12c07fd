/**
 * `quota-proxy top`: shows who calls at this moment, until q or Ctrl-C. However it ends, it leaves
 * the terminal as it was.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { InvalidArgumentError } from 'commander'
import { systemClock } from '../../lib/clock.ts'
import type { AdminOptions, CliCommand, Run } from '../command.ts'
import { terminalWidth } from '../output/table.ts'
import { Misuse } from '../session.ts'
import { type Refusals, type Sample, takeSample } from './sample.ts'
import { renderSample } from './screen.ts'

type Options = AdminOptions & { readonly once?: boolean; readonly interval: number }

/** The screen beside the one with the history, without a cursor; and back. */
const ENTER = '\u001b[?1049h\u001b[?25l'
const LEAVE = '\u001b[?25h\u001b[?1049l'
const HOME = '\u001b[H'
const END_OF_LINE = '\u001b[K'
const END_OF_SCREEN = '\u001b[J'

export function addTop(program: CliCommand): void {
  program
    .command('top')
    .summary('who calls at this moment')
    .description(
      'Show the busiest keys of the last minute, or of the newest 1,000 calls if there were more, and show it again until q or Ctrl-C. --json prints one line for each look.',
    )
    .option('--once', 'look once, for scripts')
    .option('--interval <seconds>', 'between two looks', readInterval, 2)
    .json()
    .usesApi(async (run: Run<Options>) => {
      const { once, json } = run.options
      if (!once && !json && !process.stdout.isTTY)
        throw new Misuse('This is not a terminal: add --once, or --json for one line each look.')
      const { transport } = await run.api.admin()
      if (transport === 'process')
        throw new Error('No server runs on this data directory, so that nobody calls.')
      await (once ? showOnce : follow)(run)
    })
    .examples(
      'quota-proxy top',
      'quota-proxy top --url https://proxy.example --token-file token.txt',
      "quota-proxy top --once --json | jq '.keys[0]'",
    )
}

async function showOnce({ session, api, options }: Run<Options>): Promise<void> {
  const { io } = session
  const { sample } = await takeSample(api, systemClock(), null)
  if (options.json) return io.out(line(sample))
  const { text, note } = await renderSample(sample, terminalWidth(session), undefined)
  io.out(text)
  if (note !== '') io.err(note)
}

async function follow({ session, api, options }: Run<Options>): Promise<void> {
  const { io } = session
  const ended = new AbortController()
  const end = () => ended.abort()
  process.on('SIGINT', end).on('SIGTERM', end).on('SIGHUP', end)
  const { stdin, stdout } = process
  const isScreen = !options.json
  const takesKeys = isScreen && stdin.isTTY
  const onKey = (bytes: Buffer) => {
    // In raw mode Ctrl-C is a byte.
    if (bytes.includes('q') || bytes.includes(3)) end()
  }
  if (takesKeys) stdin.setRawMode(true).on('data', onKey).resume()
  if (isScreen) io.out(ENTER)
  try {
    let refusals: Refusals = null
    while (!ended.signal.aborted) {
      const look = await takeSample(api, systemClock(), refusals)
      refusals = look.refusals
      const { sample } = look
      const screen = await renderSample(sample, terminalWidth(session), stdout.rows)
      io.out(isScreen ? frame(screen.text) : line(sample))
      // Ended early, it throws.
      await sleep(options.interval * 1000, undefined, ended).catch(() => {})
    }
  } finally {
    if (isScreen) io.out(LEAVE)
    if (takesKeys) stdin.off('data', onKey).setRawMode(false).pause()
    process.off('SIGINT', end).off('SIGTERM', end).off('SIGHUP', end)
  }
}

/** Over the one before, without a flicker. */
function frame(text: string): string {
  return `${HOME}${text.replaceAll('\n', `${END_OF_LINE}\r\n`)}${END_OF_SCREEN}`
}

function line(sample: Sample): string {
  return `${JSON.stringify(sample)}\n`
}

function readInterval(text: string): number {
  const seconds = Number(text)
  if (/^\d{1,4}(?:\.\d)?$/.test(text) && seconds >= 0.5) return seconds
  throw new InvalidArgumentError('It must be a number of seconds from 0.5.')
}
