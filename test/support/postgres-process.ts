/** The processes of a PostgreSQL, and as whom they run. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** Far from 0, so that nothing else is theirs: `nobody` and `nogroup` of Linux. */
export const OTHER_USER = 65_534

export function launch(binaries: string, args: readonly string[]) {
  return Bun.spawn([...asOther(), join(binaries, 'postgres'), ...args], {
    stdout: 'ignore',
    stderr: 'ignore',
    env: { ...process.env, LC_ALL: 'C' },
  })
}

/** Of SIGKILL the server does not tell its own processes, and while one of them lives no other server may have its data. */
export async function endServer(
  child: ReturnType<typeof launch>,
  signal: NodeJS.Signals,
): Promise<void> {
  const isHard = signal === 'SIGKILL'
  // Stopped, it begins no more of them.
  if (isHard) child.kill('SIGSTOP')
  const own = isHard ? childrenOf(child.pid) : []
  child.kill(signal)
  for (const pid of own) killIfThere(pid)
  await child.exited
  while (own.some((pid) => parentOf(pid) !== null)) await Bun.sleep(5)
}

function childrenOf(parent: number): number[] {
  if (process.platform !== 'linux') return []
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name))
  return pids.map(Number).filter((pid) => parentOf(pid) === parent)
}

/** Null of one that has ended. */
function parentOf(pid: number): number | null {
  try {
    // After the name of the program, which is in brackets: the state, and the parent.
    const [, rest = ''] = readFileSync(`/proc/${pid}/stat`, 'utf8').split(/\) (?!.*\) )/)
    const [state, parent] = rest.split(' ')
    return state === 'Z' || state === 'X' ? null : Number(parent)
  } catch {
    return null
  }
}

function killIfThere(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It has ended by itself.
  }
}

export async function run(program: string, args: readonly string[]): Promise<void> {
  const child = Bun.spawn([...asOther(), program, ...args], {
    stdout: 'ignore',
    stderr: 'pipe',
    env: { ...process.env, LC_ALL: 'C' },
  })
  if ((await child.exited) !== 0) throw new Error(await new Response(child.stderr).text())
}

/** What a command begins with, that it runs as somebody else. */
export function asOther(): string[] {
  if (process.getuid?.() !== 0) return []
  return ['setpriv', `--reuid=${OTHER_USER}`, `--regid=${OTHER_USER}`, '--clear-groups']
}
