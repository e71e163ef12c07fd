/**
 * Looks at what an upstream says instead of success, before any of it is passed on: at the beginning of the body, which is
 * read for it, and at no more. What concerns the operator's credential is for the operator alone, and goes no further; all
 * else is the client's, less what shows the credential or where a redirect would have led.
 */
import {
  brotliDecompressSync,
  constants,
  unzipSync,
  type ZlibOptions,
  zstdDecompressSync,
} from 'node:zlib'
import { withoutSecret } from '../../../lib/text/secret-traces.ts'
import { parseReference } from '../../../lib/text/uri-reference.ts'
import type { Target } from '../../resolve.ts'
import type { Deadline } from '../../send/deadline.ts'
import type { ForwardFailure } from '../../send/forward.ts'
import { isAboutCredential } from './credential.ts'

/** Errors have a few hundred bytes; pages of reverse proxies have some thousand. */
const BEGINNING_BYTES_MAX = 64 * 1024
/** What a compressed beginning may unpack to. */
const UNPACKED_BYTES_MAX = 4 * BEGINNING_BYTES_MAX

/** Statuses by which upstreams refuse a credential; the first is Google's, for a key that is none. */
const REFUSALS = [400, 401, 403]

type Inspected = Response | ForwardFailure | 'credential_rejected'
type Asked = Pick<Target, 'upstream' | 'base' | 'timeouts'>

/** Whether the answer has to be looked at: no success has. Who gives no credential need not hide one. */
export function isInspected({ upstream, base }: Asked, status: number): boolean {
  if (status < 300 || upstream === null) return false
  return status < 400 ? base !== null && status !== 304 : upstream.secret !== null
}

/** The answer to pass on in the place of `response`, or why there is none. */
export async function inspect(
  response: Response,
  target: Asked,
  deadline: Deadline,
): Promise<Inspected> {
  const { status, headers } = response
  const host = status < 400 ? hostOfRedirect(headers, target) : null
  if (status < 400 && host === null) return response
  deadline.answered(target.timeouts.idleMs)
  const read = await readBeginning(response, deadline)
  if (read.failed && status !== 401) return deadline.cause() ?? 'upstream_error'
  const unpacked = unpack(read.bytes, headers.get('content-encoding'))
  if (host !== null)
    return unpacked?.includes(host) ? withoutBody(read, response) : put(read, response)
  if (REFUSALS.includes(status) && isAboutCredential(status, unpacked?.toString() ?? null)) {
    read.drop()
    return 'credential_rejected'
  }
  return passed(read, response, unpacked, target.upstream?.secret ?? null)
}

/** The host that a redirect names and its client is not to see; null if it sees all of it. */
function hostOfRedirect(headers: Headers, { upstream }: Asked): string | null {
  const location = headers.get('location')
  if (location === null || upstream?.settings.passLocations) return null
  return parseReference(location)?.authority || null
}

type Beginning = {
  readonly bytes: Buffer
  /** What comes after; null if that is all. */
  readonly rest: Pick<ReadableStreamDefaultReader<Uint8Array>, 'read' | 'cancel'> | null
  readonly failed: boolean
  drop(): void
}

async function readBeginning({ body }: Response, deadline: Deadline): Promise<Beginning> {
  const reader = body?.getReader() ?? null
  const drop = () => void reader?.cancel().catch(() => {})
  const chunks: Uint8Array[] = []
  let length = 0
  try {
    while (reader && length <= BEGINNING_BYTES_MAX) {
      const { done, value } = await reader.read()
      if (done) return { bytes: Buffer.concat(chunks), rest: null, failed: false, drop }
      deadline.touch()
      chunks.push(value)
      length += value.byteLength
    }
    return { bytes: Buffer.concat(chunks), rest: reader, failed: false, drop }
  } catch {
    return { bytes: Buffer.concat(chunks), rest: null, failed: true, drop }
  }
}

/** Null if it cannot be read. A part unpacks to a part. */
function unpack(bytes: Buffer, encoding: string | null): Buffer | null {
  const coding = encoding?.trim().toLowerCase() ?? ''
  if (coding === '' || coding === 'identity') return bytes
  const options: ZlibOptions = {
    maxOutputLength: UNPACKED_BYTES_MAX,
    finishFlush: constants.Z_SYNC_FLUSH,
  }
  try {
    if (/^(?:x-)?gzip$|^deflate$/.test(coding)) return unzipSync(bytes, options)
    if (coding === 'br')
      return brotliDecompressSync(bytes, {
        maxOutputLength: UNPACKED_BYTES_MAX,
        finishFlush: constants.BROTLI_OPERATION_FLUSH,
      })
    return coding === 'zstd'
      ? zstdDecompressSync(bytes, { maxOutputLength: UNPACKED_BYTES_MAX })
      : null
  } catch {
    return null
  }
}

function passed(
  read: Beginning,
  response: Response,
  unpacked: Buffer | null,
  secret: string | null,
): Response {
  // Every byte is a character, so that the rest stays what it is, whatever it is.
  const blanked = withoutSecret(unpacked?.toString('latin1') ?? '', secret)
  if (blanked === null) return put(read, response)
  const isPacked = unpacked !== read.bytes
  // The end of what is packed cannot be told from what was left out of it.
  if (isPacked && read.rest) return withoutBody(read, response)
  const headers = new Headers(response.headers)
  for (const name of OF_THE_BYTES) headers.delete(name)
  const bytes = Buffer.from(blanked, 'latin1')
  if (isPacked) {
    headers.delete('content-encoding')
    headers.set('content-length', String(bytes.byteLength))
  }
  return put({ ...read, bytes }, response, headers)
}

/** What does not hold of other bytes. */
const OF_THE_BYTES = [
  'etag',
  'content-md5',
  'digest',
  'repr-digest',
  'content-digest',
  'accept-ranges',
]

function withoutBody(read: Beginning, { status, headers }: Response): Response {
  read.drop()
  const kept = new Headers(headers)
  for (const name of [...OF_THE_BYTES, 'content-type', 'content-encoding', 'transfer-encoding'])
    kept.delete(name)
  kept.set('content-length', '0')
  return new Response(null, { status, headers: kept })
}

/** An answer of what has been read and what comes after it. */
function put(
  { bytes, rest }: Beginning,
  { status, headers: own, body }: Response,
  headers = own,
): Response {
  if (body === null) return new Response(null, { status, headers })
  if (rest === null) return new Response(bytes, { status, headers })
  const stream = new ReadableStream<Uint8Array>({
    start: (controller) => controller.enqueue(bytes),
    async pull(controller) {
      const { done, value } = await rest.read()
      if (done) controller.close()
      else controller.enqueue(value)
    },
    cancel: () => rest.cancel(),
  })
  return new Response(stream, { status, headers })
}
