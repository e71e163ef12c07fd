/**
 * The server under test: a process of its own that lives many times on the same data. If it ends by
 * itself, every wait for it fails; whatever happens, `close` leaves no process behind.
 */
import { closeSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createGate, type Gate, type Life } from './child/gate.ts'

export type ChildOptions = {
  /** How to run quota-proxy: the binary, or Bun and the entry file. */
  readonly command: readonly string[]
  readonly env: Readonly<Record<string, string>>
  /** For the logs, one a life. */
  readonly directory: string
  /** How many calls the books believe to be in flight when nobody has called yet. */
  readonly countHolds: () => number
  /** The number of the next life, where several servers share them. */
  readonly nextLife?: () => number
}

/** Whom clients call: one server, or several behind one address. */
export type Target = {
  /** A present life, waiting for one if need be. Rejects when there will be none. */
  live(place: number): Promise<Life>
  /** A request of the admin to a present life. */
  request(path: string, init: RequestInit): Promise<Response>
}

export type { Life } from './child/gate.ts'
export type Start = { readonly ms: number; readonly holds: number }
export type Child = ReturnType<typeof createChild>

/** Far above any start or stop that is not stuck, on a busy machine too. */
const START_MS_MAX = 30_000
const STOP_MS_MAX = 30_000
/** How finely a start is timed. */
const POLL_MS = 2

const PORT = /"url":"http:\/\/127\.0\.0\.1:(\d+)\/"/

export function createChild(options: ChildOptions) {
  const gate = createGate()
  const processes = createProcesses(options, gate)
  const killed = new Set<number>()

  async function kill(): Promise<void> {
    killed.add(processes.number())
    await endByForce(processes.leave())
  }

  return {
    /** Lives that were ended by force. */
    killed: killed as ReadonlySet<number>,

    /** The present life, waiting for it if need be. Rejects when there will be none. */
    live: gate.passed,

    /** Null while there is none, or while nobody may begin a call with it. */
    present: gate.present,

    /** Throws if it has ended by itself, or is stuck. */
    check: gate.check,

    /** Starts the next life. Resolves when it answers: after how long, and with how many holds. */
    start: (): Promise<Start> => startLife(processes, gate, options.countHolds),

    /** Starts the next life and kills it after a while, ready or not. */
    async startAndKill(afterMs: number): Promise<void> {
      processes.spawn()
      await Bun.sleep(afterMs)
      await kill()
    },

    kill,

    /** Stops it in the middle of whatever it does, and returns a function that lets it go on. */
    pause: (): (() => void) => pauseLife(processes, gate),

    /** Ends it as an operator would. */
    stop: (): Promise<void> => stopLife(processes, gate),

    /** Ends it in whatever state it is. No life follows. */
    async close(): Promise<void> {
      const left = processes.leave()
      gate.fail('interrupted')
      await endByForce(left)
    },

    /** A request of the admin to the present life. */
    request: async (path: string, init: RequestInit): Promise<Response> =>
      send((await gate.passed()).url + path, init),
  }
}

type Processes = ReturnType<typeof createProcesses>

async function startLife(
  processes: Processes,
  gate: Gate,
  countHolds: () => number,
): Promise<Start> {
  const startedMs = performance.now()
  processes.spawn()
  const life = await processes.listening()
  await checkHealth(life, gate)
  const ms = performance.now() - startedMs
  const holds = countHolds()
  gate.open(life)
  return { ms, holds }
}

async function stopLife(processes: Processes, gate: Gate): Promise<void> {
  const left = processes.leave()
  if (!left) return
  const code = await endInOrder(left)
  if (code !== 0) throw gate.fail(`the server stopped with ${code ?? 'no answer'}`)
}

/** Nobody begins a call with it meanwhile. */
function pauseLife(processes: Processes, gate: Gate): () => void {
  const life = gate.present()
  processes.signal('SIGSTOP')
  gate.shut()
  return () => {
    processes.signal('SIGCONT')
    if (life) gate.open(life)
  }
}

async function checkHealth({ url }: Life, gate: Gate): Promise<void> {
  const { status } = await send(`${url}/healthz`)
  if (status !== 200) throw gate.fail(`/healthz answered ${status}`)
}

/** The processes of the server, one a life. A process that ends by itself makes the gate fail. */
function createProcesses({ command, env, directory, nextLife }: ChildOptions, gate: Gate) {
  let subprocess: Bun.Subprocess | null = null
  let number = 0
  const logPath = () => join(directory, `server-${number}.log`)

  return {
    /** Of the latest life. */
    number: () => number,

    /** Begins the next life. Throws if the server has failed. */
    spawn(): void {
      gate.check()
      number = nextLife?.() ?? number + 1
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
        if (subprocess === spawned) gate.fail(`the server ended by itself with code ${code}`)
      })
    },

    /** Resolves when the log of the present life says where it listens. */
    async listening(): Promise<Life> {
      const deadline = performance.now() + START_MS_MAX
      while (performance.now() < deadline) {
        gate.check()
        const port = PORT.exec(readFileSync(logPath(), 'utf8'))?.[1]
        if (port) return { number, url: `http://127.0.0.1:${port}`, port: Number(port) }
        await Bun.sleep(POLL_MS)
      }
      throw gate.fail(`the server did not start within ${START_MS_MAX} ms`)
    },

    signal: (signal: NodeJS.Signals) => void subprocess?.kill(signal),

    /** Whoever calls it ends the process that it returns. From here on nobody begins a call. */
    leave(): Bun.Subprocess | null {
      const left = subprocess
      subprocess = null
      gate.shut()
      return left
    },
  }
}

/**
 * Resolves with the exit code; with undefined if the process had to be ended by force after all.
 */
async function endInOrder(left: Bun.Subprocess): Promise<number | undefined> {
  left.kill('SIGTERM')
  const code = await Promise.race([left.exited, Bun.sleep(STOP_MS_MAX)])
  left.kill('SIGKILL')
  return code ?? undefined
}

async function endByForce(left: Bun.Subprocess | null): Promise<void> {
  left?.kill('SIGKILL')
  await left?.exited
}

/** Wide enough for a machine under load; past it the server is stuck. */
const ANSWER_MS_MAX = 30_000

export function send(url: string, init: RequestInit = {}): Promise<Response> {
  // HTTP_PROXY is for calls to the outside.
  return fetch(url, { ...init, proxy: false, signal: AbortSignal.timeout(ANSWER_MS_MAX) })
}
