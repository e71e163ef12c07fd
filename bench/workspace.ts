/**
 * The temporary directory and the processes of a run. Nothing of them outlives it: `close` ends every process that was
 * started here, by its handle, and removes the directory.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Subprocess } from 'bun'

/** A server that does not answer by then has failed; the largest database needs a second. */
const START_MS_MAX = 30_000
/** A stop writes the database out; past this it hangs. */
const STOP_MS_MAX = 30_000

export type Server = {
  readonly pid: number
  readonly url: string
  /** Lets it finish its work. */
  stop(): Promise<void>
}

export type Workspace = {
  readonly directory: string
  /** Starts a command whose output goes to a file, or is returned to whoever reads it. */
  spawn(command: readonly string[], options?: SpawnOptions): Subprocess<'ignore', 'pipe', 'ignore'>
  /** Starts a server and waits until it answers. */
  serve(name: string, url: string, command: readonly string[], env?: Env): Promise<Server>
  close(): Promise<void>
}

type Env = Readonly<Record<string, string>>
type SpawnOptions = { readonly env?: Env }

export function openWorkspace(): Workspace {
  const directory = mkdtempSync(join(tmpdir(), 'quota-proxy-bench-'))
  const running = new Set<Subprocess>()

  function keep<T extends Subprocess>(child: T): T {
    running.add(child)
    void child.exited.then(() => running.delete(child))
    return child
  }

  const environment = (env: Env = {}) => ({ PATH: process.env['PATH'] ?? '', TZ: 'UTC', ...env })

  return {
    directory,
    spawn: (command, { env } = {}) =>
      keep(
        Bun.spawn([...command], {
          env: environment(env),
          cwd: directory,
          stdin: 'ignore',
          stdout: 'pipe',
          stderr: 'ignore',
        }),
      ),
    async serve(name, url, command, env) {
      const log = join(directory, `${name}.log`)
      const child = keep(
        Bun.spawn([...command], {
          env: environment(env),
          cwd: directory,
          stdin: 'ignore',
          stdout: Bun.file(log),
          stderr: Bun.file(`${log}.err`),
        }),
      )
      if (!(await answers(url, child))) {
        throw new Error(`${name} did not start:\n${tail(log)}${tail(`${log}.err`)}`)
      }
      return { pid: child.pid, url, stop: () => stop(child) }
    },
    async close() {
      const children = [...running]
      for (const child of children) child.kill('SIGKILL')
      await Promise.all(children.map((child) => child.exited))
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

/** A port that was free a moment ago. */
export function freePort(): number {
  const listener = Bun.listen({ hostname: '127.0.0.1', port: 0, socket: { data() {} } })
  const { port } = listener
  listener.stop(true)
  return port
}

/** False if the process has ended, or has not answered in time. Any answer counts. */
async function answers(url: string, child: Subprocess): Promise<boolean> {
  const startedMs = performance.now()
  while (child.exitCode === null && performance.now() - startedMs < START_MS_MAX) {
    try {
      await (await fetch(`${url}/healthz`)).arrayBuffer()
      return true
    } catch {
      await Bun.sleep(1)
    }
  }
  return false
}

async function stop(child: Subprocess): Promise<void> {
  child.kill('SIGTERM')
  const late = setTimeout(() => child.kill('SIGKILL'), STOP_MS_MAX)
  await child.exited
  clearTimeout(late)
}

function tail(path: string): string {
  return readFileSync(path, 'utf8').slice(-2_000)
}
