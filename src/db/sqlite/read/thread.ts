/**
 * The thread that answers questions, seen from the event loop. It begins with the first question and ends when nobody has
 * asked for a while, so that a server that is asked nothing does not pay for it.
 */
import { IS_BINARY } from '../../../lib/process/self.ts'
import { pause } from './pause.ts'
import type { Question } from './queries.ts'
import type { FromThread, ToThread } from './worker.ts'

/** Longer than the pauses of whoever looks at a page that refreshes itself. */
const IDLE_MS = 60_000
/** A thread that does not end by then hangs; a stop does not wait for it. */
const END_MS_MAX = 1_000

type Waiting = { readonly resolve: (answer: unknown) => void; readonly reject: (e: Error) => void }

/** One run of the thread. */
type Run = {
  readonly worker: Worker
  readonly waiting: Map<number, Waiting>
  readonly ended: Promise<unknown>
}

export type ReadThread = {
  ask(question: Question): Promise<unknown>
  stop(): Promise<void>
}

export function createReadThread(path: string): ReadThread {
  let run: Run | null = null
  let idle: ReturnType<typeof setTimeout> | undefined
  let lastId = 0

  function take({ worker, waiting }: Run, data: FromThread): void {
    const { resolve, reject } = waiting.get(data.id) ?? NOBODY
    waiting.delete(data.id)
    if ('answer' in data) resolve(data.answer)
    else reject(Object.assign(new Error(data.error.message), { code: data.error.code }))
    pause(() => send(worker, { goOn: true }))
    clearTimeout(idle)
    if (waiting.size > 0) return
    idle = setTimeout(() => void stop(), IDLE_MS)
    idle.unref()
  }

  /** Whoever waits is told why; the next question begins another run. */
  function end(ending: Run, why: string): Promise<unknown> {
    if (run === ending) run = null
    for (const { reject } of ending.waiting.values()) reject(new Error(why))
    ending.waiting.clear()
    // It closes its connection and ends by itself: a thread that is ended in the middle of SQLite's work has crashed
    // (bun#29275).
    send(ending.worker, { close: true })
    return ending.ended
  }

  async function stop(): Promise<void> {
    clearTimeout(idle)
    if (run) await Promise.race([end(run, 'the server stops'), Bun.sleep(END_MS_MAX)])
  }

  return {
    ask(question) {
      clearTimeout(idle)
      run ??= begin(path, take, end)
      const { worker, waiting } = run
      const id = ++lastId
      send(worker, { id, question })
      return new Promise((resolve, reject) => waiting.set(id, { resolve, reject }))
    },
    stop,
  }
}

function begin(
  path: string,
  take: (run: Run, data: FromThread) => void,
  end: (run: Run, why: string) => Promise<unknown>,
): Run {
  const worker = new Worker(URL_OF_WORKER)
  worker.unref()
  const ended = new Promise((resolve) => {
    worker.addEventListener('close', resolve, { once: true })
  })
  const run = { worker, waiting: new Map<number, Waiting>(), ended }
  worker.onmessage = ({ data }: MessageEvent<FromThread>) => take(run, data)
  worker.onerror = ({ message }) => void end(run, message)
  void ended.then(() => end(run, 'the thread has ended'))
  send(worker, { open: path })
  return run
}

function send(worker: Worker, message: ToThread): void {
  worker.postMessage(message)
}

/** In the binary all code is one file at its root, and the thread stands at its path from there. */
const URL_OF_WORKER = new URL(
  IS_BINARY ? './db/sqlite/read/worker.ts' : './worker.ts',
  import.meta.url,
).href

const NOBODY: Waiting = { resolve() {}, reject() {} }
