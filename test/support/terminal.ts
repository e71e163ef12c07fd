/** A program at a real terminal (a pty), as somebody at a keyboard has it in front of them. */
import { stripVTControlCharacters } from 'node:util'
import { knownDatabaseEnv } from './engine.ts'
import { closeWithRun, temporaryDirectory } from './server.ts'

export type TestTerminal = {
  /** Everything that was written to it, with its control sequences. */
  raw(): string
  /** Resolves with all the text so far once it matches. */
  shows(pattern: RegExp): Promise<string>
  type(text: string): void
  /** The exit code. */
  readonly ended: Promise<number>
  end(): void
}

/** Room for a busy machine. */
const SHOWS_MS_MAX = 15_000

export function openTerminal(
  command: readonly string[],
  env: Readonly<Record<string, string>> = {},
  { cols = 120, rows = 30, cwd = temporaryDirectory() } = {},
): TestTerminal {
  const decoder = new TextDecoder()
  let raw = ''
  const child = Bun.spawn([...command], {
    cwd,
    env: { PATH: process.env['PATH'] ?? '', TERM: 'xterm', ...knownDatabaseEnv(env), ...env },
    terminal: {
      cols,
      rows,
      data(_, bytes) {
        raw += decoder.decode(bytes, { stream: true })
      },
    },
  })
  closeWithRun(() => child.kill('SIGKILL'))
  const text = () => stripVTControlCharacters(raw)
  return {
    raw: () => raw,
    async shows(pattern) {
      const deadline = performance.now() + SHOWS_MS_MAX
      while (!pattern.test(text())) {
        if (performance.now() > deadline) throw new Error(`no ${pattern} in:\n${text()}`)
        await Bun.sleep(20)
      }
      return text()
    },
    type: (keys) => void child.terminal?.write(keys),
    ended: child.exited,
    end: () => child.kill('SIGKILL'),
  }
}
