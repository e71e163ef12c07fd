/** How many connections this process may have: what Bun's `fetch` keeps under way, and what the system lets it open. */
import { readFileSync } from 'node:fs'
import { IS_BINARY, SELF } from './self.ts'

/**
 * Bun's `fetch` has so many requests under way at once, 256 by default; the next one waits unsent. It reads the variable when
 * the process begins, and setting it later changes nothing (Bun 1.4.5).
 */
const NAME = 'BUN_CONFIG_MAX_HTTP_REQUESTS'
const REQUESTS = 256
/** Bun reads the number as 16 bits. Nothing is set aside for it. */
const REQUESTS_MAX = 65_535

/** For other things than calls: backups, traces; the database and its files. */
const OTHER_REQUESTS = 64
const OTHER_FILES = 256

type Environment = Readonly<Record<string, string | undefined>>

/**
 * Replaces this process by itself with Bun's bound raised: same pid, same files, same arguments. Returns if it is raised
 * already, or where the system cannot do it; then `callsMax` keeps to the bound that there is.
 */
export function raiseBound(argv: readonly string[], env: Environment): void {
  if (env[NAME] === String(REQUESTS_MAX) || process.execve === undefined) return
  const [program = process.execPath, ...script] = SELF
  // Those of the binary come from BUN_OPTIONS, which stays in the environment; as arguments they would be the program's.
  const flags = IS_BINARY ? [] : process.execArgv
  try {
    process.execve(program, [program, ...flags, ...script, ...argv], {
      ...env,
      [NAME]: String(REQUESTS_MAX),
    })
  } catch {
    // A sandbox that forbids it, or a system without it.
  }
}

/** How many calls this process can have in flight: each needs a request of `fetch`, and a socket on either side. */
export function callsMax(env: Environment): number {
  const requests = Number(env[NAME] ?? REQUESTS) - OTHER_REQUESTS
  const files = openFilesMax() ?? Number.POSITIVE_INFINITY
  const sockets = Math.floor((files - OTHER_FILES) / 2)
  return Math.max(2, Math.min(requests, sockets))
}

/** Null if there is no bound, or the system does not tell: only Linux does (proc_pid_limits(5)). Bun raises the soft limit. */
export function openFilesMax(): number | null {
  try {
    const limits = readFileSync('/proc/self/limits', 'utf8')
    const [, files] = /^Max open files\s+(\d+)/m.exec(limits) ?? []
    return files === undefined ? null : Number(files)
  } catch {
    return null
  }
}
