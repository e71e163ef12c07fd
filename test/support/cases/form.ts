/** The form of a case, as `test/cases/README.md` describes it, and the bytes that it stands for. */
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } from 'node:zlib'

/** Text in which `{big}` stands for a repeated one. */
type TextWith = { readonly textWith: string; readonly big: Repeat }
type Repeat = { readonly repeat: string | TextWith; readonly times: number }
type Coding = 'gzip' | 'br' | 'zstd' | 'deflate' | 'raw-deflate'

type Sent = string | { readonly base64: string } | Repeat | TextWith
/** One chunk for each number: `{n}` stands for it, and `{n+5}` for five more. */
type Each = { readonly each: string; readonly from: number; readonly to: number }
type Event = { readonly sleepMs: number } | { readonly hang: true } | { readonly break: true }
export type Chunk = Sent | Each | Event

export type Answer = {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  readonly chunks?: readonly Chunk[]
  /** Whether the answer has a Content-Length. */
  readonly length?: boolean
  readonly delayMs?: number
  readonly pauseMs?: number
  /** How the whole body is coded, in order. */
  readonly encode?: readonly Coding[]
  /** The whole body is cut into pieces of so many bytes. */
  readonly cutBytes?: number
}

type Condition = { readonly bodyHas?: string; readonly headerHas?: string }
export type Script = Answer | readonly { readonly if?: Condition; readonly then: Answer }[]

type Range = { readonly min?: number; readonly max?: number }
type Wanted = number | string | boolean | null | Range

export type Expect = {
  readonly status?: number
  readonly bodyContains?: string
  readonly bodyLacks?: string
  readonly bodyIs?: string
  readonly headerIs?: readonly [string, string]
  readonly headerHas?: readonly [string, string]
  readonly headerLacks?: readonly [string, string]
  readonly upstreamMustNotSee?: string
  readonly ledger?: Readonly<Record<string, Wanted>>
  readonly ledgerOrRefused?: { readonly requests: number }
}

export type Case = {
  readonly id: string
  readonly kind: string
  readonly title: string
  readonly upstream?: Readonly<Record<string, unknown>>
  readonly key?: Readonly<Record<string, unknown>>
  readonly request: {
    readonly method?: string
    readonly path: string
    readonly headers?: Readonly<Record<string, string>>
    readonly noKey?: boolean
    readonly body?: unknown
  }
  readonly upstreamAnswer: Script
  readonly clientBehaviour?: { readonly afterText?: string; readonly beforeAnswerMs?: number }
  readonly expect: Expect
  readonly why: string
}

/** What is sent as one chunk, and what happens between two. */
export function stepsOf({ chunks = [], encode, cutBytes }: Answer): (Buffer | Event)[] {
  const steps = chunks.flatMap((chunk) => (isEach(chunk) ? eachOf(chunk) : [stepOf(chunk)]))
  if (!encode && cutBytes === undefined) return steps
  const bytes = encoded(Buffer.concat(steps.filter((step) => Buffer.isBuffer(step))), encode ?? [])
  const events = steps.filter((step) => !Buffer.isBuffer(step))
  return [...piecesOf(bytes, cutBytes ?? Math.max(bytes.length, 1)), ...events]
}

function stepOf(chunk: Sent | Event): Buffer | Event {
  if (typeof chunk === 'string') return Buffer.from(chunk)
  if ('base64' in chunk) return Buffer.from(chunk.base64, 'base64')
  if ('repeat' in chunk || 'textWith' in chunk) return Buffer.from(textOf(chunk))
  return chunk
}

const isEach = (chunk: Chunk): chunk is Each => typeof chunk === 'object' && 'each' in chunk

function eachOf({ each, from, to }: Each): Buffer[] {
  const numbers = Array.from({ length: to - from + 1 }, (_, i) => from + i)
  return numbers.map((n) =>
    Buffer.from(each.replaceAll(/\{n(?:\+(\d+))?\}/g, (_, more) => String(n + Number(more ?? 0)))),
  )
}

function textOf(text: string | Repeat | TextWith): string {
  if (typeof text === 'string') return text
  if ('repeat' in text) return textOf(text.repeat).repeat(text.times)
  return text.textWith.replaceAll('{big}', textOf(text.big))
}

function piecesOf(bytes: Buffer, size: number): Buffer[] {
  const count = Math.ceil(bytes.length / size)
  return Array.from({ length: count }, (_, i) => bytes.subarray(i * size, (i + 1) * size))
}

const ENCODERS: Readonly<Record<Coding, (bytes: Buffer) => Uint8Array>> = {
  gzip: gzipSync,
  br: brotliCompressSync,
  zstd: (bytes) => Bun.zstdCompressSync(bytes),
  deflate: deflateSync,
  'raw-deflate': deflateRawSync,
}

function encoded(bytes: Buffer, codings: readonly Coding[]): Buffer {
  return codings.reduce((coded, coding) => Buffer.from(ENCODERS[coding](coded)), bytes)
}

type Special = { readonly base64: string } | TextWith | Encoded
type Encoded = { readonly encode: readonly Coding[]; readonly content: unknown }

/** The body of a request; null if it has none. */
export function bodyOf(body: unknown): Buffer | null {
  if (body === undefined || body === null) return null
  if (typeof body === 'string') return Buffer.from(body)
  const special = body as Special
  if ('base64' in special) return Buffer.from(special.base64, 'base64')
  if ('textWith' in special) return Buffer.from(textOf(special))
  if ('encode' in special)
    return encoded(bodyOf(special.content) ?? Buffer.alloc(0), special.encode)
  return Buffer.from(JSON.stringify(body))
}
