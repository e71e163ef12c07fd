/** The completions for shells, as the command itself prints them. */
import { resolve } from 'node:path'

const ROOT = resolve(import.meta.dir, '../..')

export type Shell = 'bash' | 'zsh' | 'fish'

/** From the sources, since a binary for another machine does not run on this one. */
export function renderCompletion(shell: Shell): string {
  const run = Bun.spawnSync([process.execPath, 'src/main.ts', 'completion', shell], { cwd: ROOT })
  if (!run.success) throw new Error(`no completions for ${shell}: ${run.stderr.toString()}`)
  return run.stdout.toString()
}
