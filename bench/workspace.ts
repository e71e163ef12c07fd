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
/** A stop writes the log into the database; past this it hangs. */
const STOP_MS_MAX = 30_000
/** What timeout(1) exits with when the time is up. */
const TIMED_OUT = 124
/** At the end nothing has to be written, but nginx has to end its worker. */
const CLOSE_MS_MAX = 2_000

export type Server = {
  readonly pid: number
  readonly url: string
  /** Lets it finish its work. */
  stop(): Promise<void>
}

export type Workspace = {
  readonly directory: string
  /** Starts a command whose output the caller reads. */
  spawn(command: readonly string[], env?: Env): Subprocess<'ignore', 'pipe', 'inherit'>
  /** Runs a command to its end; its output goes to a file. Rejects with the last of it if it fails or takes too long. */
  run(name: string, command: readonly string[], secondsMax: number): Promise<void>
  /** Starts a server, whose output goes to a file, and waits until it answers. */
  serve(
    name: string,
    url: string,
    command: readonly string[],
    env?: Env,
    options?: ServeOptions,
  ): Promise<Server>
  isClosed(): boolean
  close(): Promise<void>
}

export type ServeOptions = {
  /** The file of a certificate to trust when it is asked whether it answers. */
  readonly ca?: string
  /** How long it may take to answer, where that is longer than for others. */
  readonly startMsMax?: number
}

type Env = Readonly<Record<string, string>>

export function openWorkspace(): Workspace {
  const directory = mkdtempSync(join(tmpdir(), 'quota-proxy-bench-'))
  const running = new Set<Subprocess>()
  let closed = false

  /** Servers get nothing of the environment that could change what they do. */
  function surroundings(env: Env = {}) {
    if (closed) throw new Error('the run has been ended')
    const variables = { PATH: process.env['PATH'] ?? '', TZ: 'UTC', ...env }
    return { env: variables, cwd: directory, stdin: 'ignore' } as const
  }

  function keep<T extends Subprocess>(child: T): T {
    running.add(child)
    void child.exited.then(() => running.delete(child))
    return child
  }

  return {
    directory,
    spawn: (command, env) =>
      keep(Bun.spawn([...command], { ...surroundings(env), stdout: 'pipe', stderr: 'inherit' })),
    async run(name, command, secondsMax) {
      const log = join(directory, `${name}.log`)
      const output = { stdout: Bun.file(log), stderr: Bun.file(`${log}.err`) }
      // `timeout` ends everything that the command has started, also when it is ended itself. Installers get the whole
      // environment, which tells them where packages are.
      const bounded = ['timeout', '-k', '5', String(secondsMax), ...command]
      const options = { ...surroundings(), env: process.env, ...output }
      const code = await keep(Bun.spawn(bounded, options)).exited
      if (code === TIMED_OUT) throw new Error(`${name} took longer than ${secondsMax} s`)
      if (code !== 0) throw new Error(`${name} failed:\n${tail(log)}${tail(`${log}.err`)}`)
    },
    async serve(name, url, command, env, { ca, startMsMax = START_MS_MAX } = {}) {
      const stdout = join(directory, `${name}.log`)
      const stderr = join(directory, `${name}.err`)
      const files = { stdout: Bun.file(stdout), stderr: Bun.file(stderr) }
      const child = keep(Bun.spawn([...command], { ...surroundings(env), ...files }))
      if (!(await answers(url, child, startMsMax, ca)))
        throw new Error(`${name} did not start:\n${tail(stdout)}${tail(stderr)}`)
      return { pid: child.pid, url, stop: () => stop(child, STOP_MS_MAX) }
    },
    isClosed: () => closed,
    async close() {
      closed = true
      await Promise.all([...running].map((child) => stop(child, CLOSE_MS_MAX)))
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

export function freeAddress(): { readonly port: number; readonly url: string } {
  const port = freePort()
  return { port, url: `http://127.0.0.1:${port}` }
}

/** False if the process has ended, or has not answered in time. Any answer counts. */
async function answers(
  url: string,
  child: Subprocess,
  msMax: number,
  ca?: string,
): Promise<boolean> {
  const startedMs = performance.now()
  const tls = ca === undefined ? {} : { tls: { ca: Bun.file(ca) } }
  while (child.exitCode === null && performance.now() - startedMs < msMax) {
    try {
      await (await fetch(`${url}/healthz`, tls)).arrayBuffer()
      return true
    } catch {
      await Bun.sleep(1)
    }
  }
  return false
}

async function stop(child: Subprocess, patienceMs: number): Promise<void> {
  child.kill('SIGTERM')
  const late = setTimeout(() => child.kill('SIGKILL'), patienceMs)
  await child.exited
  clearTimeout(late)
}

function tail(path: string): string {
  return readFileSync(path, 'utf8').slice(-2_000)
}
