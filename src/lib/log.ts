/**
 * One JSON line per event on stdout, or a readable form of it on a terminal. Writing never waits for whoever reads: past
 * `PENDING_BYTES_MAX` of unread lines new ones are dropped.
 */
import pino from 'pino'
import pretty from 'pino-pretty'
import { systemClock } from './clock.ts'

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent'
export type LogFormat = 'auto' | 'json' | 'pretty'

export type Log = Pick<pino.Logger, 'debug' | 'info' | 'warn' | 'error'> & {
  /**
   * An `info` line whose members the caller has written as JSON: for the one event that is so frequent that composing its
   * line would show in what a call costs.
   */
  written(members: string, message: string): void
}

/** About ten seconds of lines at full load; a reader that is further behind has stopped reading. */
const PENDING_BYTES_MAX = 8 * 1024 * 1024

/** Written lines are handed on together: the hundreds of a busy moment cost as much as one. */
const PENDING_MS = 20

/** A stop does not wait longer for a reader that does not read. */
const FLUSH_MS = 1_000

export type ServerLog = Log & { setLevel(level: LogLevel): void; flush(): Promise<void> }

export function createLog(level: LogLevel, format: LogFormat): ServerLog {
  const readable = format === 'pretty' || (format === 'auto' && process.stdout.isTTY)
  const lines = pino.destination({ dest: 1, sync: false, maxLength: PENDING_BYTES_MAX })
  let readerGone = false
  // Whoever read the log has left: nothing to log to is no reason to stop serving.
  lines.on('error', () => {
    readerGone = true
  })
  const stream = readable
    ? pretty({
        destination: lines,
        ignore: 'pid,hostname',
        translateTime: 'SYS:HH:MM:ss.l',
        sync: true,
      })
    : lines
  const log = pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    stream,
  )
  let logsInfo = log.isLevelEnabled('info')
  let pending = ''
  let timer: Timer | undefined

  function writePending(): void {
    clearTimeout(timer)
    timer = undefined
    if (pending !== '') stream.write(pending)
    pending = ''
  }

  return Object.assign(log, {
    setLevel(wanted: LogLevel) {
      log.level = wanted
      logsInfo = log.isLevelEnabled('info')
    },
    written(members: string, message: string) {
      if (!logsInfo) return
      const time = new Date(systemClock()).toISOString()
      pending += `{"level":"info","time":"${time}",${members},"msg":"${message}"}\n`
      timer ??= setTimeout(writePending, PENDING_MS)
    },
    async flush() {
      writePending()
      if (readerGone) return
      const written = new Promise<void>((resolve) => lines.flush(() => resolve()))
      await Promise.race([written, Bun.sleep(FLUSH_MS)])
    },
  })
}
