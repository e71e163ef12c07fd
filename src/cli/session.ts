/** What a command is given, where it leaves its exit code, and how it refuses wrong use. */

import type { Environment } from '../config/environment.ts'
import { loadConfig } from '../config/load.ts'
import type { Config } from '../config/options.ts'

export type Io = {
  readonly out: (text: string) => void
  readonly err: (text: string) => void
  /**
   * Resolves when all of `out` has left, so that a long list does not run ahead of its reader. Rejects with ReaderGone if
   * nobody reads it any more.
   */
  readonly flush?: () => Promise<void>
}

export type Session = { readonly env: Environment; readonly io: Io; exitCode: number }

/** Whoever read standard output has left, as `head` does when it has enough. No command fails for that. */
export class ReaderGone extends Error {}

/** The command was used wrongly, in a way that commander cannot see: exit code 2. */
export class Misuse extends Error {}

export class InvalidSettings extends Misuse {
  constructor(problems: readonly string[]) {
    super(`The configuration is not valid:\n${problems.map((line) => `  - ${line}`).join('\n')}`)
  }
}

/** Throws `InvalidSettings` with everything that is wrong. */
export function settings({ env }: Pick<Session, 'env'>): Config {
  const loaded = loadConfig(env)
  if (loaded.ok) return loaded.config
  throw new InvalidSettings(loaded.problems)
}
