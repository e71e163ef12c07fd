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
/** A disk that takes longer than this is failing; calls must not wait for it. */
const PAUSE_MS_MAX = 1_000

type Answer = { busy: boolean; frames: number; copied: number } | { error: string }

export type Pausable = { pause(): void; resume(): void }

/** `onError` is told of a checkpoint that failed; the next one tries again. Returns what ends the thread. */
export function startCheckpoints(path: string, ledger: Pausable, onError: (error: string) => void): () => void {
  const worker = new Worker(URL.createObjectURL(new Blob([code], { type: 'application/javascript' })))
  worker.unref()
  worker.postMessage({ open: path })

  let running = false
  const timer = setInterval(() => {
    const bytes = walBytes(path)
    if (running || bytes < WAL_BYTES) return
    void checkpoint(bytes < PAUSE_WAL_BYTES ? 'PASSIVE' : 'RESTART')
  }, POLL_MS)

  async function checkpoint(mode: 'PASSIVE' | 'RESTART'): Promise<void> {
    running = true
    // Most of it while calls go on; what is written meanwhile is little.
    await ask('PASSIVE')
    if (mode === 'RESTART') {
      ledger.pause()
      await Promise.race([ask('RESTART'), Bun.sleep(PAUSE_MS_MAX)])
      ledger.resume()
    }
    running = false
  }

  function ask(mode: string): Promise<void> {
    return new Promise((resolve) => {
      worker.onmessage = ({ data }: MessageEvent<Answer>) => {
        if ('error' in data) onError(data.error)
        resolve()
      }
      worker.onerror = ({ message }) => {
        onError(message)
        resolve()
      }
      worker.postMessage({ mode })
    })
  }

  return () => {
    clearInterval(timer)
    worker.postMessage({ close: true })
  }
}

function walBytes(path: string): number {
  return statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0
}
