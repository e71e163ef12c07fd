/** Asks before what cannot be undone. Without a terminal nobody can be asked, so a script has to say `--yes`. */
import { createInterface } from 'node:readline/promises'
import type { Command } from 'commander'
import { type AdminOptions, adminCommand, type Run } from './admin-command.ts'
import { Misuse, type Session } from './session.ts'

export type ConfirmedOptions = AdminOptions & { readonly yes?: boolean; readonly dryRun?: boolean }

type Deed<Thing, Options> = {
  readonly examples: readonly string[]
  /** Looks up what the argument names. */
  find(run: Run<Options>, argument: string): Promise<Thing>
  /** Says what will be gone. */
  question(thing: Thing, options: Options): string
  act(run: Run<Options>, thing: Thing): Promise<void>
}

/** A command that shows what it is about to change, asks, and then does it. */
export function confirmedCommand<Thing, Options extends ConfirmedOptions>(
  session: Session,
  command: Command,
  { examples, find, question, act }: Deed<Thing, Options>,
): void {
  command.option('--yes', 'do it without asking').option('--dry-run', 'only say what would be done')
  adminCommand(session, command, { examples }, async (run: Run<Options>, argument: string) => {
    const { options, show } = run
    const thing = await find(run, argument)
    const asked = question(thing, options)
    if (options.dryRun) await show(thing, () => `Would ask: ${asked}\n`)
    else if (await confirm(session, asked, options.yes)) await act(run, thing)
    else session.exitCode = 1
  })
}

/** Without a clear yes the answer is no. */
export async function confirm({ io }: Session, question: string, yes = false): Promise<boolean> {
  if (yes) return true
  if (!process.stdin.isTTY)
    throw new Misuse(`${question} Nobody can be asked here: add --yes if so.`)
  // Not in raw mode, in which Ctrl-C would be a letter.
  const lines = createInterface({ input: process.stdin, terminal: false })
  io.err(`${question} [y/N] `)
  const ended = new Promise<string>((resolve) => lines.once('close', () => resolve('')))
  const answer = await Promise.race([lines.question(''), ended])
  lines.close()
  if (/^y(?:es)?$/i.test(answer.trim())) return true
  io.err('Nothing was changed.\n')
  return false
}
