/**
 * Stops the service on a signal without dropping a call. The order of a stop: say that it stops, so that
 * a load balancer goes elsewhere; refuse what is new; let the running finish; write what is to be
 * written; close the database.
 */
import type { LiveConfig } from './config/live.ts'
import type { Store } from './db/open.ts'
import type { Log } from './lib/log.ts'
import type { Listeners } from './listeners.ts'

/**
 * A thousand calls see their abort within a tenth of it; what is left even so is settled at the
 * next start.
 */
const CUT_OFF_MS = 250

/**
 * What a second signal still waits for: the thread to end, and the last settlements to be written.
 */
const AT_ONCE_MS = 1_000

/**
 * One Ctrl-C reaches a process by several ways: from the terminal, and from each program that started it
 * and hands its signals on, such as npx, `bun run` and timeout.
 */
const SAME_SIGNAL_MS = 1_000

export type Service = { stopping: boolean; draining: boolean }

type Running = {
  readonly settings: LiveConfig
  readonly log: Log
  readonly listeners: Listeners
  /** While it is stopping it is not ready any more; it takes calls until it is draining. */
  readonly service: Service
  /** Calls whose clients leave: the server begins to stop, and then it closes the connections itself. */
  readonly leaving: { stop(): void; cutOff(): void }
  readonly store: Store
  readonly stopChores: () => Promise<void>
}

/** Takes calls for as long as a load balancer may need to see that the service is not ready. */
async function beNoticed({ settings, log }: Running, signal: string): Promise<void> {
  const { shutdownDelayMs } = settings.current()
  if (shutdownDelayMs === 0) return
  log.info({ signal, delay_ms: shutdownDelayMs }, 'not ready any more; calls are taken for a while')
  await Bun.sleep(shutdownDelayMs)
}

/**
 * A first signal stops in order, a second one at once, unless it is the first that has come by another way. Resolves with
 * the exit code.
 */
export function untilStopped(running: Running): Promise<number> {
  const { settings, log, listeners, service, leaving, store, stopChores } = running

  async function drain(signal: string): Promise<void> {
    service.draining = true
    log.info({ signal, calls: listeners.pending() }, 'stopping; calls in flight may finish')
    // Nobody waits for these, and no listener knows of them.
    leaving.stop()
    const drained = await Promise.race([
      listeners.stop(false).then(() => true),
      Bun.sleep(settings.current().shutdownGraceMs),
    ])
    if (!drained)
      log.warn({ calls: listeners.pending() }, 'some calls took too long; they are cut off')
    leaving.cutOff()
    await listeners.stop(true)
    // Calls that were cut off notice it in the turns that follow, and are only then settled.
    if (!drained) await Bun.sleep(CUT_OFF_MS)
  }

  return new Promise((resolve) => {
    const finish = async (exitCode: number) => {
      try {
        await store.close()
      } finally {
        log.info('stopped')
        resolve(exitCode)
      }
    }
    let firstMs = 0
    const stop = async (signal: string) => {
      const now = performance.now()
      if (service.stopping) {
        if (now - firstMs < SAME_SIGNAL_MS) return
        log.warn({ signal }, 'stopping at once')
        // A process that exits while one of its threads lives has hung for ever (seen on Bun
        // 1.4.5).
        await Promise.race([stopChores(), Bun.sleep(AT_ONCE_MS)])
        return finish(1)
      }
      firstMs = now
      service.stopping = true
      await beNoticed(running, signal)
      await drain(signal)
      await stopChores()
      await finish(0)
    }
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => void stop(signal))
  })
}
