/** Shows on a terminal how far long work has come: a bar, percent, rate and the time that is left. */
import type { Watch } from '../../lib/watch.ts'
import type { Session } from '../session.ts'
import { bytes, count } from './format.ts'

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
/** No disk is so fast that work on more is done at once. Its first part may be a long one. */
const LARGE_BYTES = 512 * 1024 * 1024

/** What is counted, such as "rows checked", and how its numbers are written. */
type Counted = { readonly what: string; readonly of: (value: number) => string }

/** `what` is what is counted, such as "rows checked". */
export function createProgress(session: Session, what: string, total: number): Progress {
  return createBar(session, { what, of: number }, total)
}

/** Work on bytes that says itself when it begins. `done` is what is done to them, such as "verified". */
export function watchBytes(session: Session, done: string): Watch & Pick<Progress, 'end'> {
  let bar: Progress | undefined
  let total = 0
  return {
    begin(size) {
      bar?.end()
      total = size
      const of = (value: number) => bytes(Math.round(value))
      bar = createBar(session, { what: done, of }, total, size >= LARGE_BYTES)
    },
    step: (share) => bar?.step(share * total),
    end: () => bar?.end(),
  }
}

/** Says how long others have been at work, of which nothing else is known. */
export async function spin<T>(session: Session, what: string, work: () => Promise<T>): Promise<T> {
  const line = createLine(session)
  const startedMs = performance.now()
  const timer = setInterval(() => {
    const ms = performance.now() - startedMs
    const sign = '|/-\\'.charAt(Math.floor(ms / PAUSE_MS) % 4)
    if (ms >= QUIET_MS) line.show(`${sign} ${what}  ${duration(Math.floor(ms / 1000))}`)
  }, PAUSE_MS)
  try {
    return await work()
  } finally {
    clearInterval(timer)
    line.remove()
  }
}

function createBar(session: Session, counted: Counted, total: number, isLong = false): Progress {
  const line = createLine(session)
  const startedMs = performance.now()
  let done = 0
  let shownMs = startedMs + QUIET_MS - PAUSE_MS
  if (isLong) line.show(render(counted, 0, total, 1))
  return {
    step(by = 1) {
      done += by
      const now = performance.now()
      if (now - shownMs < PAUSE_MS) return
      shownMs = now
      line.show(render(counted, done, total, (now - startedMs) / 1000))
    },
    end: line.remove,
  }
}

/** A line of a terminal that is written over; nothing where there is none. */
function createLine({ io }: Session) {
  const { isTTY, columns } = process.stderr
  let isShown = false
  return {
    show(text: string): void {
      if (!isTTY) return
      isShown = true
      io.err(`\r${text.slice(0, Math.max(20, columns - 1))}\u001b[K`)
    },
    remove(): void {
      if (isShown) io.err('\r\u001b[K')
      isShown = false
    },
  }
}

function render({ what, of }: Counted, done: number, total: number, seconds: number): string {
  const part = total === 0 ? 1 : Math.min(1, done / total)
  const full = Math.round(part * BAR_CHARS)
  const bar = '#'.repeat(full) + '-'.repeat(BAR_CHARS - full)
  const rate = done / seconds
  const left = rate > 0 ? Math.ceil(Math.max(0, total - done) / rate) : 0
  return `[${bar}] ${Math.floor(part * 100)} %  ${of(done)} of ${of(total)} ${what}  ${of(rate)}/s  ${duration(left)} left`
}

/** A rate below ten has a decimal. */
function number(value: number): string {
  return count(value < 10 ? Math.round(value * 10) / 10 : Math.round(value))
}

function duration(seconds: number): string {
  const minutes = Math.floor(seconds / 60)
  return minutes > 0 ? `${minutes} min ${seconds % 60} s` : `${seconds} s`
}
