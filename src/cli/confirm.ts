/** Asks before what cannot be undone. Where no terminal is, a script has to say `--yes`. */
import { createInterface } from 'node:readline/promises'
import { Misuse, type Session } from './session.ts'

/** `question` says what will be gone. Without a clear yes the answer is no. */
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
