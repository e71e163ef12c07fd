/**
 * The server under test: a process of its own that lives many times on the same data. If it ends by itself, every wait
 * for it fails; whatever happens, `close` leaves no process behind.
 */
import { closeSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { countHolds } from './books.ts'

export type ChildOptions = {
  /** How to run quota-proxy: the binary, or Bun and the entry file. */
  readonly command: readonly string[]
  readonly env: Readonly<Record<string, string>>
  /** For the logs, one a life. */
  readonly directory: string
  readonly database: string
}

export type Life = { readonly number: number; readonly url: string; readonly port: number }
export type Start = { readonly ms: number; readonly holds: number }
export type Child = ReturnType<typeof createChild>

/** Far above any start or stop that is not stuck, on a busy machine too. */
const START_MS_MAX = 30_000
const STOP_MS_MAX = 30_000
/** How finely a start is timed. */
const POLL_MS = 2

export function createChild({ command, env, directory, database }: ChildOptions) {
  let subprocess: Bun.Subprocess | null = null
  let number = 0
  let failure: Error | null = null
  const killed = new Set<number>()
  let gate = createGate()
  let isOpen = false

  /** Whoever waits goes on waiting, for the next life. */
  function shut(): void {
    if (isOpen) gate = createGate()
    isOpen = false
  }

  function fail(error: Error): Error {
    failure ??= error
    shut()
    gate.reject(failure)
    return failure
  }

  function logPath(): string {
    return join(directory, `server-${number}.log`)
  }

  function spawn(): Bun.Subprocess {
    if (failure) throw failure
    number++
    const log = openSync(logPath(), 'w')
    const spawned = Bun.spawn([...command, 'serve'], {
      env: { ...env },
      cwd: directory,
      stdin: 'ignore',
      stdout: log,
      stderr: log,
    })
    closeSync(log)
    subprocess = spawned
    void spawned.exited.then((code) => {
      // Whoever ends it says so first.
      if (subprocess === spawned) fail(new Error(`the server ended by itself with code ${code}`))
    })
    return spawned
  }

  /** From here on nobody begins a call. */
  function leave(): Bun.Subprocess | null {
    const left = subprocess
    subprocess = null
    shut()
    return left
  }

  async function listening(): Promise<Life> {
    const deadline = performance.now() + START_MS_MAX
    while (performance.now() < deadline && !failure) {
      const port = /"url":"http:\/\/127\.0\.0\.1:(\d+)\/"/.exec(
        readFileSync(logPath(), 'utf8'),
      )?.[1]
      if (port) return { number, url: `http://127.0.0.1:${port}`, port: Number(port) }
      await Bun.sleep(POLL_MS)
    }
    throw failure ?? fail(new Error(`the server did not start within ${START_MS_MAX} ms`))
  }

  async function kill(): Promise<void> {
    killed.add(number)
    const left = leave()
    left?.kill('SIGKILL')
    await left?.exited
  }

  return {
    /** Lives that were ended by force. */
    killed: killed as ReadonlySet<number>,

    /** The present life, waiting for it if need be. Rejects when there will be none. */
    live: (): Promise<Life> => gate.promise,

    /** Starts the next life. Resolves when it answers: after how long, and with how many holds. */
    async start(): Promise<Start> {
      const startedMs = performance.now()
      spawn()
      const life = await listening()
      const health = await send(`${life.url}/healthz`)
      if (health.status !== 200) throw fail(new Error(`/healthz answered ${health.status}`))
      const ms = performance.now() - startedMs
      const holds = countHolds(database)
      isOpen = true
      gate.resolve(life)
      return { ms, holds }
    },

    /** Starts the next life and kills it after a while, ready or not. */
    async startAndKill(afterMs: number): Promise<void> {
      spawn()
      await Bun.sleep(afterMs)
      await kill()
    },

    kill,

    /** Ends it as an operator would. */
    async stop(): Promise<void> {
      const left = leave()
      if (!left) return
      left.kill('SIGTERM')
      const code = await Promise.race([left.exited, Bun.sleep(STOP_MS_MAX)])
      left.kill('SIGKILL')
      if (code !== 0) throw fail(new Error(`the server stopped with ${code ?? 'no answer'}`))
    },

    /** Ends it in whatever state it is. No life follows. */
    async close(): Promise<void> {
      const left = leave()
      fail(new Error('interrupted'))
      left?.kill('SIGKILL')
      await left?.exited
    },

    /** A request of the admin to the present life. */
    async request(path: string, init: RequestInit): Promise<Response> {
      return await send((await gate.promise).url + path, init)
    },
  }
}

/** Wide enough for a machine under load; past it the server is stuck. */
const ANSWER_MS_MAX = 30_000

function send(url: string, init: RequestInit = {}): Promise<Response> {
  // HTTP_PROXY is for calls to the outside.
  return fetch(url, { ...init, proxy: false, signal: AbortSignal.timeout(ANSWER_MS_MAX) })
}

function createGate() {
  const gate = Promise.withResolvers<Life>()
  // A life may fail while nobody waits for it.
  gate.promise.catch(() => {})
  return gate
}
