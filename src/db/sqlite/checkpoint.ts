/**
 * Keeps the WAL short without stopping a call. A thread of its own copies the WAL into the database file while calls go
 * on; it starts when the WAL is long for the first time. Under steady load it never quite catches up, so once the WAL is too
 * long the ledger is asked to pause: what it is asked meanwhile waits in its queue, the event loop stays free, and the
 * thread finishes what is left, a few milliseconds of work. SQLite's own automatic checkpoint would do all of this, and wait
 * for the disk, on the main thread.
 *
 * Whoever reads the database for long, a backup above all, keeps the WAL from starting again, and it grows meanwhile: calls
 * never wait for a reader to end.
 *
 * Nothing here or elsewhere in this process may open the database's files but SQLite: closing such a file would drop every
 * lock that SQLite holds on it (sqlite.org/howtocorrupt.html section 2.2).
 */
import { statSync } from 'node:fs'
import code from './checkpoint-worker.js' with { type: 'text' }

/** Copying starts at 8 MiB, and the pause comes at 32: at full load, every few seconds. In pages. */
const LONG = 2_048
const TOO_LONG = 4 * LONG

/** SQLite's own size of a page, which every database here has. */
const PAGE_BYTES = 4_096

const POLL_MS = 100
/** After a long reader there is much to copy, and much is written meanwhile: each round leaves less. */
const ROUNDS_MAX = 4

/**
 * How long a pause waits for readers. Short reads finish within a millisecond; longer ones are not worth waiting for.
 */
const BUSY_TIMEOUT_MS = 25
/** Doubled for each pause that a reader has made useless, so that a long one costs a call in a thousand at most. */
const BACK_OFF_MS = 250
const BACK_OFF_MS_MAX = 8_000

/** A disk that takes longer than this is failing; neither calls nor a stop may wait for it. */
const WAIT_MS_MAX = 1_000

type Answer = {
  /** Pages of the WAL that are in use, and how many of them are in the database already. */
  readonly frames?: number
  readonly copied?: number
  /** A reader was in the way. */
  readonly busy?: boolean
  readonly error?: string
}

export type Pausable = { pause(): void; resume(): void }

/**
 * `setAutomatic` turns SQLite's own checkpoints on while the thread cannot do them. While it can they are off: the first
 * commit after a long reader would have to copy all that has come together. `onError` is told once when checkpoints begin
 * to fail; they are tried again until one succeeds. Returns a function that stops the thread.
 */
export function startCheckpoints(
  path: string,
  ledger: Pausable,
  setAutomatic: (on: boolean) => void,
  onError: (error: string) => void,
): () => Promise<void> {
  let thread: CheckpointThread | null = null
  let running = false
  let backOffMs = BACK_OFF_MS
  let pauseAt = 0
  setAutomatic(false)
  const timer = setInterval(() => {
    if (running) return
    // A server that writes little does without the thread, which would be a fifteenth of its memory.
    if (thread === null && !isLong(path)) return
    thread ??= startThread(path, setAutomatic, onError)
    void look(thread)
  }, POLL_MS)
  timer.unref()

  async function look(own: CheckpointThread): Promise<void> {
    running = true
    // NOOP copies nothing and tells how long the WAL is (SQLite 3.51).
    const { frames = 0 } = await own.ask({ mode: 'NOOP' })
    const isCopied = frames >= LONG && (await copy(own, frames))
    if (frames >= TOO_LONG && isCopied && performance.now() >= pauseAt) await restart(own)
    running = false
  }

  async function restart(own: CheckpointThread): Promise<void> {
    ledger.pause()
    const { busy = false } =
      (await Promise.race([own.ask({ mode: 'RESTART' }), Bun.sleep(WAIT_MS_MAX)])) ?? {}
    ledger.resume()
    pauseAt = busy ? performance.now() + backOffMs : 0
    backOffMs = busy ? Math.min(2 * backOffMs, BACK_OFF_MS_MAX) : BACK_OFF_MS
  }

  return async () => {
    clearInterval(timer)
    await thread?.stop()
  }
}

/** Copies most of the WAL while calls go on; little is written meanwhile. False if a reader is in the way. */
async function copy(thread: CheckpointThread, frames: number): Promise<boolean> {
  let wanted = frames
  for (let round = 0; round < ROUNDS_MAX; round++) {
    const { frames: now = 0, copied = 0 } = await thread.ask({ mode: 'PASSIVE' })
    if (copied < wanted) return false
    if (now - copied < LONG) break
    wanted = now
  }
  return true
}

type CheckpointThread = {
  ask(what: object): Promise<Answer>
  stop(): Promise<void>
}

function startThread(
  path: string,
  setAutomatic: (on: boolean) => void,
  onError: (error: string) => void,
): CheckpointThread {
  const url = URL.createObjectURL(new Blob([code], { type: 'application/javascript' }))
  const worker = new Worker(url)
  worker.unref()
  let answered = (_answer: Answer) => {}
  let failing = false
  const take = (answer: Answer) => {
    const failsNow = answer.error !== undefined
    if (failsNow && !failing) onError(answer.error)
    if (failsNow !== failing) setAutomatic(failsNow)
    failing = failsNow
    answered(answer)
  }
  worker.onmessage = ({ data }: MessageEvent<Answer>) => take(data)
  worker.onerror = ({ message }) => take({ error: message })
  worker.postMessage({ open: path, busyTimeoutMs: BUSY_TIMEOUT_MS })

  const ended = new Promise((resolve) => {
    worker.addEventListener('close', resolve, { once: true })
  })
  return {
    ask(what) {
      worker.postMessage(what)
      return new Promise((resolve) => {
        answered = resolve
      })
    },
    async stop() {
      // It closes its connection and ends by itself: a thread that is ended in the middle of SQLite's work has crashed
      // (bun#29275), and a process that exits while its thread is being ended has hung for ever (seen on 1.4.5).
      worker.postMessage({ close: true })
      await Promise.race([ended, Bun.sleep(WAIT_MS_MAX)])
      URL.revokeObjectURL(url)
    },
  }
}

/** The file is not opened. It never shrinks, so this tells whether the WAL has been long at any time. */
function isLong(path: string): boolean {
  try {
    return statSync(`${path}-wal`).size >= LONG * PAGE_BYTES
  } catch {
    // The thread finds out why, and says so.
    return true
  }
}
