/**
 * Keeps the WAL short without stopping a call. A thread of its own copies the WAL into the database file while calls go
 * on. Under steady load that never quite catches up, so once the WAL is long the ledger is asked to pause: what it is
 * asked meanwhile waits in its queue, the event loop stays free, and the thread finishes what is left, a few milliseconds
 * of work. SQLite's own automatic checkpoint would do all of this, and wait for the disk, on the main thread.
 *
 * Nothing here or elsewhere in this process may open the database's files but SQLite: closing such a file would drop every
 * lock that SQLite holds on it (sqlite.org/howtocorrupt.html section 2.2).
 */
import code from './checkpoint-worker.js' with { type: 'text' }

/** Copying starts at 8 MiB, and the pause comes at 32: at full load, every few seconds. In pages. */
const LONG = 2_048
const TOO_LONG = 4 * LONG

const POLL_MS = 100
/** A disk that takes longer than this is failing; neither calls nor a stop may wait for it. */
const WAIT_MS_MAX = 1_000

/** `frames`: pages of the WAL that are in use. */
type Answer = { readonly frames?: number; readonly error?: string }

export type Pausable = { pause(): void; resume(): void }

/** `onError` is told once when checkpoints begin to fail; they are tried again until one succeeds. Returns what ends the thread. */
export function startCheckpoints(
  path: string,
  ledger: Pausable,
  onError: (error: string) => void,
): () => Promise<void> {
  const url = URL.createObjectURL(new Blob([code], { type: 'application/javascript' }))
  const worker = new Worker(url)
  worker.unref()
  let answered = (_answer: Answer) => {}
  let failing = false
  const take = (answer: Answer) => {
    if (answer.error !== undefined && !failing) onError(answer.error)
    failing = answer.error !== undefined
    answered(answer)
  }
  worker.onmessage = ({ data }: MessageEvent<Answer>) => take(data)
  worker.onerror = ({ message }) => take({ error: message })
  worker.postMessage({ open: path })

  let running = false
  const timer = setInterval(() => {
    if (!running) void look()
  }, POLL_MS)
  timer.unref()

  async function look(): Promise<void> {
    running = true
    // NOOP copies nothing and tells how long the WAL is (SQLite 3.51).
    const { frames = 0 } = await ask({ mode: 'NOOP' })
    // Most of it while calls go on; what is written meanwhile is little.
    if (frames >= LONG) await ask({ mode: 'PASSIVE' })
    if (frames >= TOO_LONG) {
      ledger.pause()
      await Promise.race([ask({ mode: 'RESTART' }), Bun.sleep(WAIT_MS_MAX)])
      ledger.resume()
    }
    running = false
  }

  function ask(what: object): Promise<Answer> {
    worker.postMessage(what)
    return new Promise((resolve) => {
      answered = resolve
    })
  }

  const ended = new Promise((resolve) => {
    worker.addEventListener('close', resolve, { once: true })
  })
  return async () => {
    clearInterval(timer)
    // It closes its connection and ends by itself: a thread that is ended in the middle of SQLite's work has crashed
    // (bun#29275), and a process that exits while its thread is being ended has hung for ever (seen on 1.4.5).
    worker.postMessage({ close: true })
    await Promise.race([ended, Bun.sleep(WAIT_MS_MAX)])
    URL.revokeObjectURL(url)
  }
}
