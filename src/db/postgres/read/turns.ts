/**
 * Who of those that ask gets one of the connections for questions. Those who ask take turns, not their questions: who asks a
 * hundred questions is served no faster than who asks one. A few connections of the pool are never for questions, so that
 * calls and changes do not wait for them.
 */
import { OPERATOR } from '../../../domain/store.ts'

/** Of the eight connections of the pool. */
const RUNNING_MAX = 4
/** Of the operator's questions, and of those of all holders: neither waits for the other's long ones. */
const RUNNING_MAX_SHARE = 3
const RUNNING_MAX_HOLDER = 1

export type Turns = {
  /** Does the work when it is the asker's turn. */
  take<T>(asker: string, work: () => Promise<T>): Promise<T>
}

export function createTurns(): Turns {
  /** Askers in the order of their turns, with what they wait for. */
  const lines = new Map<string, (() => void)[]>()
  const running = new Map<string, number>()
  let all = 0

  const runningOf = (asker: string) => running.get(asker) ?? 0
  function mayRun(asker: string): boolean {
    const own = runningOf(OPERATOR)
    if (all >= RUNNING_MAX) return false
    if (asker === OPERATOR) return own < RUNNING_MAX_SHARE
    return runningOf(asker) < RUNNING_MAX_HOLDER && all - own < RUNNING_MAX_SHARE
  }

  /** A map lists what was put into it last at its end, also while it is being walked. */
  function goOn(): void {
    for (const [asker, line] of lines) {
      if (all >= RUNNING_MAX) return
      if (!mayRun(asker)) continue
      const begin = line.shift()
      lines.delete(asker)
      if (line.length > 0) lines.set(asker, line)
      count(asker, 1)
      begin?.()
    }
  }

  function count(asker: string, change: 1 | -1): void {
    all += change
    const own = runningOf(asker) + change
    if (own > 0) running.set(asker, own)
    else running.delete(asker)
  }

  return {
    async take(asker, work) {
      await new Promise<void>((begin) => {
        const line = lines.get(asker)
        if (line) line.push(begin)
        else lines.set(asker, [begin])
        goOn()
      })
      try {
        return await work()
      } finally {
        count(asker, -1)
        // Whoever was answered stands behind those who wait.
        const line = lines.get(asker)
        lines.delete(asker)
        if (line) lines.set(asker, line)
        goOn()
      }
    },
  }
}
