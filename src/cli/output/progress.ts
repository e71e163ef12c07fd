/** Shows on a terminal how far long work has come: a bar, percent, rate and the time that is left. */
import type { Session } from '../session.ts'
import { count } from './format.ts'

export type Progress = {
  /** So much more is done. */
  step(by?: number): void
  /** Removes the bar. May be called again. */
  end(): void
}

/** Work that is done sooner needs no bar. */
const QUIET_MS = 300
/** Faster than that nobody reads. */
const PAUSE_MS = 100
const BAR_CHARS = 24

/** `what` is what is counted, such as "rows checked". */
export function createProgress({ io }: Session, what: string, total: number): Progress {
  const startedMs = performance.now()
  let done = 0
  let shownMs = startedMs + QUIET_MS - PAUSE_MS
  let isShown = false
  if (!process.stderr.isTTY) return { step() {}, end() {} }
  return {
    step(by = 1) {
      done += by
      const now = performance.now()
      if (now - shownMs < PAUSE_MS) return
      shownMs = now
      isShown = true
      const line = render(what, done, total, (now - startedMs) / 1000)
      io.err(`\r${line.slice(0, Math.max(20, process.stderr.columns - 1))}\u001b[K`)
    },
    end() {
      if (isShown) io.err('\r\u001b[K')
      isShown = false
    },
  }
}

function render(what: string, done: number, total: number, seconds: number): string {
  const part = total === 0 ? 1 : Math.min(1, done / total)
  const full = Math.round(part * BAR_CHARS)
  const bar = '#'.repeat(full) + '-'.repeat(BAR_CHARS - full)
  const rate = done / seconds
  const left = rate > 0 ? Math.ceil((total - done) / rate) : 0
  return `[${bar}] ${Math.floor(part * 100)} %  ${count(done)} of ${count(total)} ${what}  ${count(Math.round(rate))}/s  ${duration(left)} left`
}

function duration(seconds: number): string {
  const minutes = Math.floor(seconds / 60)
  return minutes > 0 ? `${minutes} min ${seconds % 60} s` : `${seconds} s`
}
