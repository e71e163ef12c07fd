/**
 * What a server does to its database files, and what it answers, in the order in which it does so: recorded by strace,
 * read back as plain data. A line that should tell of a file and cannot be read is an error: a step that went missing
 * would make whatever is concluded from the others worthless.
 */
import { readFileSync, realpathSync } from 'node:fs'
import { basename, dirname } from 'node:path'

export type Step =
  /** Opened so that it exists from now on; it may have existed before. */
  | { readonly kind: 'create' | 'remove'; readonly file: string }
  | Change
  /** Nothing that was asked before step `begun` is only in memory any more. The directory is the file `.`. */
  | { readonly kind: 'sync'; readonly file: string; readonly begun: number }
  /** About to be sent: nobody can have seen it before. */
  | { readonly kind: 'answer'; readonly requestIds: readonly string[] }

export type Change =
  | {
      readonly kind: 'write'
      readonly file: string
      readonly offset: number
      readonly bytes: Buffer
    }
  | { readonly kind: 'truncate'; readonly file: string; readonly size: number }

/** What has to survive. The shared memory is made anew; nothing is ever written to the lock. */
export const DATABASE_FILES = ['quota.db', 'quota.db-wal', 'quota.db-journal']

const CALLS = [
  'pwrite64', 'ftruncate', 'fsync', 'fdatasync', 'openat', 'unlink', 'unlinkat', 'sendto',
] // biome-ignore format: a list

/** Refused by the kernel, or cut off by a signal: if it did something even so, the files at the end tell. */
const FAILED = / = (?:-1 E\w+ \(.*\)|\?.*)$/

/** More than SQLite ever writes at once: its largest page. */
const STRING_BYTES_MAX = 65_536

/** Why nothing can be traced here; null if it can. In CI there has to be an strace. */
export function straceObstacle(): string | null {
  if (!Bun.which('strace')) {
    if (process.env['CI']) throw new Error('There is no strace: install the Debian package strace.')
    return 'no strace here: install the Debian package strace'
  }
  const { success } = Bun.spawnSync(['strace', '-o', '/dev/null', 'true'])
  return success ? null : 'this system does not let processes be traced'
}

/** To be put before a command. The command stays the child, and the file is whole once its output has ended. */
export function straceCommand(file: string): string[] {
  const text = ['-xx', '-y', '-s', String(STRING_BYTES_MAX)]
  // Not every machine has each of them.
  const trace = `trace=${CALLS.map((call) => `?${call}`).join()}`
  // The filter in the kernel keeps all other system calls as fast as they are.
  return ['strace', '-D', '-f', '--seccomp-bpf', ...text, '-e', trace, '-o', file, '--']
}

/** The steps in a file that `straceCommand` has written, as those that follow the first `before`. */
export function readTrace(file: string, dataDir: string, before: number): Step[] {
  const directory = realpathSync(dataDir)
  const steps: Step[] = []
  const unfinished = new Map<string, { text: string; begun: number }>()
  for (const line of readFileSync(file, 'latin1').split('\n')) {
    const [, thread = '', text = ''] = /^(\d+) +(.*)$/.exec(line) ?? []
    const resumed = /^<\.\.\. \w+ resumed>(.*)$/.exec(text)?.[1]
    const [start = ''] = text.split(' <unfinished ...>', 1)
    // Threads overlap: what counts is when an answer begins, and when anything else has ended.
    if (resumed === undefined) steps.push(...answerOf(start))
    const begun =
      resumed === undefined ? before + steps.length : (unfinished.get(thread)?.begun ?? 0)
    if (start.length < text.length) unfinished.set(thread, { text: start, begun })
    else if (resumed === undefined) steps.push(...stepOf(text, directory, begun))
    else steps.push(...stepOf(unfinished.get(thread)?.text + resumed, directory, begun))
  }
  return steps
}

function answerOf(text: string): Step[] {
  if (!text.startsWith('sendto(')) return []
  const sent = decode(/"([^"]*)"/.exec(text)?.[1]).toString('latin1')
  if (!sent.startsWith('HTTP/1.1 ')) return []
  const ids = [...sent.matchAll(/^x-request-id: *(\S+)/gim)].map(([, id = '']) => id)
  return [{ kind: 'answer', requestIds: ids }]
}

function stepOf(text: string, directory: string, begun: number): Step[] {
  const call = /^\w+/.exec(text)?.[0] ?? ''
  if (!CALLS.includes(call) || call === 'sendto' || FAILED.test(text)) return []
  const named = (path: string | undefined) => {
    const name = decode(path).toString()
    if (name === directory) return '.'
    return dirname(name) === directory ? basename(name) : ''
  }
  const open = /^openat\(.*\) += \d+<([^>]*)>$/.exec(text)
  const remove = /^unlink(?:at)?\([^"]*"([^"]*)".*\) += 0$/.exec(text)
  const other = /^\w+\(\d+<([^>]*)>(?:, (.*))?\) += \d+$/.exec(text)
  const [, path, rest = ''] = open ?? remove ?? other ?? []
  if (path === undefined) return unreadable(text)
  const file = named(path)
  if (file !== '.' && !DATABASE_FILES.includes(file)) return []
  if (open) return text.includes('O_CREAT') ? [{ kind: 'create', file }] : []
  if (remove) return [{ kind: 'remove', file }]
  if (call === 'ftruncate') return [{ kind: 'truncate', file, size: Number(rest) }]
  if (call !== 'pwrite64') return [{ kind: 'sync', file, begun }]
  const [, data, length, offset] = /^"([^"]*)", (\d+), (\d+)$/.exec(rest) ?? []
  const bytes = decode(data)
  return bytes.length === Number(length) && text.endsWith(` = ${length}`)
    ? [{ kind: 'write', file, offset: Number(offset), bytes }]
    : unreadable(text)
}

function unreadable(text: string): never {
  throw new Error(`A line of strace cannot be read: ${text.slice(0, 300)}`)
}

/** Strings and paths are written as `\x2f\x74…`. */
function decode(text = ''): Buffer {
  return Buffer.from(text.replaceAll('\\x', ''), 'hex')
}
