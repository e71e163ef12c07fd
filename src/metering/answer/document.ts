/**
 * Listens to an answer that is one JSON document, and reads it when it has ended. Of a long one the
 * end is read first, where all language model APIs report usage: parsing a megabyte of embeddings
 * for one number would cost more than passing them on.
 */
import zlib from 'node:zlib'
import type { MeterSettings } from '../../domain/upstream.ts'
import { picker, VALUES_MAX } from '../../lib/json/member.ts'
import { own, REPORT, readUsage } from '../report.ts'
import { complete, type Reported } from '../usage.ts'
import { createByteStore, MESSAGE_BYTES_MAX } from './byte-store.ts'
import { readNumber } from './json-path.ts'
import type { MeteringTap } from './tap.ts'

/** Far more than stands behind the usage of any API, and parsed in a fraction of a millisecond. */
const END_BYTES = 64 * 1024

/**
 * What a compressed answer may grow to: unpacking it takes 25 ms, in which nothing else happens.
 */
const DECODED_BYTES_MAX = 8 * 1024 * 1024

/** The first member of a report, which may stand in the middle of it in Ollama's. */
const SIGN = /"(?:usage|prompt_eval_count|eval_count)"\s*:/g
/** How often the end may be tried for: a report is found at the first sign, or at the second. */
const SIGNS_MAX = 8

const pickReport = picker(REPORT)

type Decode = (bytes: Uint8Array, options: { maxOutputLength: number }) => Uint8Array

const DECODERS = new Map<string, Decode>([
  ['identity', (bytes) => bytes],
  ['gzip', zlib.gunzipSync],
  // RFC 9110 section 8.4.1.3: the same by its old name.
  ['x-gzip', zlib.gunzipSync],
  ['deflate', zlib.inflateSync],
  ['br', zlib.brotliDecompressSync],
  ['zstd', zlib.zstdDecompressSync],
])

export function isReadable(encoding: string): boolean {
  return DECODERS.has(encoding)
}

type Result = { readonly usage: Reported | null; readonly units: number | null }

export function createDocumentTap(encoding: string, settings: MeterSettings): MeteringTap {
  const kept = createByteStore()
  /** The only piece so far: most answers come in one, which need not be copied. */
  let only: Uint8Array | null = null
  let isWhole = true
  let result: Result | null = null

  function keep(chunk: Uint8Array): void {
    isWhole &&= kept.length() + chunk.length <= MESSAGE_BYTES_MAX
    kept.append(isWhole ? chunk : chunk.subarray(-END_BYTES))
    if (!isWhole && kept.length() > 2 * END_BYTES) kept.keepLast(END_BYTES)
  }

  /**
   * Finds nothing in the end alone of a document that is packed, or that is metered by a path: it
   * is no JSON.
   */
  function read(): Result {
    const bytes = decode(encoding, only ?? kept.view())
    only = null
    kept.clear()
    if (settings.kind === 'json') {
      return { usage: null, units: readNumber(text(bytes), settings.path) }
    }
    if (bytes.length <= END_BYTES) return { usage: readShort(text(bytes)), units: null }
    const usage = readEnd(text(bytes.subarray(-END_BYTES)))
    return { usage: usage ?? readUsage(pickReport(text(bytes))), units: null }
  }

  const end = () => {
    result ??= read()
    return result
  }
  return {
    alters: false,
    pass(chunk) {
      if (only === null && kept.length() === 0 && chunk.length <= END_BYTES) {
        only = chunk
        return chunk
      }
      if (only) keep(only)
      only = null
      keep(chunk)
      return chunk
    },
    flush: () => null,
    usage: () => complete(end().usage ?? {}),
    units: () => end().units,
    retained: () => kept.capacity() + (only?.length ?? 0),
  }
}

/** The engine's own parser reads a short document faster than any search in it. */
function readShort(json: string): Reported | null {
  let document: unknown
  try {
    document = JSON.parse(json)
  } catch {
    return null
  }
  const parts = [document, own(document, 'response'), own(document, 'message')]
  const isReport = parts.every((part) => countValues(own(part, 'usage')) <= VALUES_MAX)
  return isReport ? readUsage(document) : null
}

/** The value and all values in it. */
function countValues(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 1
  return Object.values(value).reduce((sum: number, inner) => sum + countValues(inner), 1)
}

/**
 * The end of a document from a member of the outermost object on is an object itself if `{` is put
 * before it. From any other place it is not: brackets would be left over.
 */
function readEnd(end: string): Reported | null {
  for (const { index } of end.matchAll(SIGN).take(SIGNS_MAX)) {
    const usage = readUsage(pickReport(`{${end.slice(index)}`))
    if (usage) return usage
  }
  return null
}

/** Nothing, if it is not what it is said to be or grows too long. */
function decode(encoding: string, bytes: Uint8Array): Uint8Array {
  try {
    return DECODERS.get(encoding)?.(bytes, { maxOutputLength: DECODED_BYTES_MAX }) ?? bytes
  } catch {
    return new Uint8Array(0)
  }
}

function text(bytes: Uint8Array): string {
  return UTF8.decode(bytes)
}

const UTF8 = new TextDecoder()
