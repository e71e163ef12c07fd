/**
 * One JSON line per event on stdout, or a readable form of it on a terminal. Writing never waits for whoever reads: past
 * `PENDING_BYTES_MAX` of unread lines new ones are dropped.
 */
import { isatty } from 'node:tty'
import pino from 'pino'
import { createIsoTime, systemClock } from './clock.ts'
import { createLineWriter } from './line-writer.ts'

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent'
export type LogFormat = 'auto' | 'json' | 'pretty'

export type Log = Pick<pino.Logger, 'debug' | 'info' | 'warn' | 'error'> & {
  /**
   * An `info` line whose members the caller has written as JSON, in ASCII: for the one event that is so frequent that
   * composing its line would show in what a call costs.
   */
  written(members: string, message: string): void
  /** Whether people read the log, and not programs. */
  readonly isReadable: boolean
  /** The same event where people read it: one line, with nothing in it that a terminal obeys. */
  said(text: string): void
}

/** About ten seconds of lines at full load; a reader that is further behind has stopped reading. */
const PENDING_BYTES_MAX = 8 * 1024 * 1024

/** A stop does not wait longer for a reader that does not read. */
const FLUSH_MS = 1_000

const STDOUT = 1

export type ServerLog = Log & { setLevel(level: LogLevel): void; flush(): Promise<void> }

export function createLog(level: LogLevel, format: LogFormat): ServerLog {
  const writer = createLineWriter(STDOUT, PENDING_BYTES_MAX)
  const isReadable = format === 'pretty' || (format === 'auto' && isatty(STDOUT))
  const prettify = isReadable ? createPrettify() : null
  // Of an error that ends the process, all that was logged before is wanted.
  process.on('exit', writer.sendSync)

  function add(line: string, bytes = Buffer.byteLength(line)): void {
    const text = prettify === null ? line : (prettify(line) ?? '')
    writer.add(text, text === line ? bytes : Buffer.byteLength(text))
  }

  const log = pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    {
      write(line) {
        add(line)
        writer.send()
      },
    },
  )
  const isoTime = createIsoTime()
  let logsInfo = log.isLevelEnabled('info')

  return Object.assign(log, {
    setLevel(wanted: LogLevel) {
      log.level = wanted
      logsInfo = log.isLevelEnabled('info')
    },
    written(members: string, message: string) {
      if (!logsInfo) return
      const line = `{"level":"info","time":"${isoTime(systemClock())}",${members},"msg":"${message}"}\n`
      add(line, line.length)
    },
    isReadable,
    said(text: string) {
      if (!logsInfo) return
      const line = `${timeOfDay(systemClock())} ${text}\n`
      writer.add(line, Buffer.byteLength(line))
    },
    flush: () => Promise.race([writer.flush(), Bun.sleep(FLUSH_MS)]),
  })
}

/** Loaded only for a terminal: a service does without it. */
function createPrettify(): (line: string) => string | undefined {
  const { prettyFactory } = require('pino-pretty') as typeof import('pino-pretty')
  return prettyFactory({
    ignore: 'pid,hostname',
    translateTime: 'SYS:HH:MM:ss.l',
    // A request is a line; an error keeps the lines of its stack.
    singleLine: true,
  })
}

/** As `prettify` writes it, without its colours. */
function timeOfDay(at: number): string {
  const date = new Date(at)
  const two = (part: number) => String(part).padStart(2, '0')
  const seconds = `${two(date.getSeconds())}.${String(date.getMilliseconds()).padStart(3, '0')}`
  return `[${two(date.getHours())}:${two(date.getMinutes())}:${seconds}]`
}
