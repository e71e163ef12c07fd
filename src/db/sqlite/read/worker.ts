/**
 * Runs in a thread of its own, on a connection that can only read: answers questions while calls go on. It is a bundle of
 * its own in the binary, so what it imports it costs again.
 */
import { Database } from 'bun:sqlite'
import { errorCode } from '../../../lib/error-code.ts'
import { createBegin, type Question } from './queries.ts'
import { createTurns } from './turns.ts'

declare const self: Worker

export type ToThread =
  | { readonly open: string }
  | { readonly id: number; readonly question: Question }
  /** The answer is written; there is room for another. */
  | { readonly goOn: true }
  | { readonly close: true }

export type FromThread = { readonly id: number } & (
  | { readonly answer: unknown }
  | { readonly error: { readonly message: string; readonly code: string } }
)

/** Between two looks for questions that have come meanwhile. */
const SLICE_MS = 2

/** Writers do not stop readers, but for moments in which the WAL begins anew. */
const BUSY_TIMEOUT_MS = 1_000

/** In KiB. The system has the pages of the file as well. */
const CACHE_KIB = 2 * 1024

const turns = createTurns(SLICE_MS, rest, () => performance.now())
/** Set while an answer is being written: what is not asked for does not pile up. */
let isWriting = false
let later: (() => void) | null = null
let path = ''
let client: Database | undefined
let begin: ReturnType<typeof createBegin> | undefined

self.onmessage = ({ data }: MessageEvent<ToThread>) => {
  if ('open' in data) path = data.open
  else if ('goOn' in data) goOn()
  else if ('close' in data) close()
  else answer(data.id, data.question)
}

function rest(next: () => void): void {
  if (isWriting) later = next
  else setImmediate(next)
}

function goOn(): void {
  isWriting = false
  const next = later
  later = null
  next?.()
}

function answer(id: number, question: Question): void {
  const failed = (error: unknown) => {
    const message = error instanceof Error ? error.message : String(error)
    post({ id, error: { message, code: errorCode(error) } })
  }
  try {
    begin ??= open()
    turns.add(question.asker, begin(question), (value) => post({ id, answer: value }), failed)
  } catch (error) {
    failed(error)
  }
}

function open() {
  client ??= new Database(path, { readonly: true, strict: true })
  client.run(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}`)
  client.run(`PRAGMA cache_size = -${CACHE_KIB}`)
  return createBegin(client)
}

function close(): void {
  turns.clear()
  client?.close()
  // Nothing left to wait for: the thread ends.
  self.onmessage = null
}

function post(message: FromThread): void {
  isWriting = true
  self.postMessage(message)
}
