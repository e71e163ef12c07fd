/**
 * Keeps the WAL short without stopping a call. A thread of its own copies the WAL into the database file while calls go
 * on. Under steady load that never quite catches up, so once the WAL is long the ledger is asked to pause: what it is
 * asked meanwhile waits in its queue, the event loop stays free, and the thread finishes what is left, a few milliseconds
 * of work. SQLite's own automatic checkpoint would do all of this, and wait for the disk, on the main thread.
 */
import { statSync } from 'node:fs'
import code from './checkpoint-worker.js' with { type: 'text' }

/** Copying starts at this length, and the pause comes at four times of it: at full load, every few seconds. */
const WAL_BYTES = 8 * 1024 * 1024
const PAUSE_WAL_BYTES = 4 * WAL_BYTES

const POLL_MS = 200
/** A disk that takes longer than this is failing; neither calls nor a stop may wait for it. */
const WAIT_MS_MAX = 1_000

type Answer = { error?: string }

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
  let answered = () => {}
  let failing = false
  const done = (error?: string) => {
    if (error !== undefined && !failing) onError(error)
    failing = error !== undefined
    answered()
  }
  worker.onmessage = ({ data }: MessageEvent<Answer>) => done(data.error)
  worker.onerror = ({ message }) => done(message)
  worker.postMessage({ open: path })

  let running = false
  const timer = setInterval(() => {
    const bytes = statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0
    if (!running && bytes >= WAL_BYTES) void checkpoint(bytes >= PAUSE_WAL_BYTES)
  }, POLL_MS)

  async function checkpoint(long: boolean): Promise<void> {
    running = true
    // Most of it while calls go on; what is written meanwhile is little.
    await ask({ mode: 'PASSIVE' })
    if (long) {
      ledger.pause()
      await ask({ mode: 'TRUNCATE' })
      ledger.resume()
    }
    running = false
  }

  function ask(what: object): Promise<void> {
    worker.postMessage(what)
    return new Promise((resolve) => {
      const late = setTimeout(resolve, WAIT_MS_MAX)
      answered = () => {
        clearTimeout(late)
        resolve()
      }
    })
  }

  return async () => {
    clearInterval(timer)
    // Its connection is closed first: ending a thread in the middle of SQLite's work has crashed (bun#29275).
    await ask({ close: true })
    worker.terminate()
    URL.revokeObjectURL(url)
  }
}
