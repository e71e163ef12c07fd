/**
 * Storage that speaks the protocol of S3 and believes nothing: each request must bear a signature that is right (AWS
 * Signature Version 4), or it is refused as Amazon would. Objects are kept in memory. It can be told to fail.
 */
import { createHash, createHmac } from 'node:crypto'
import { closeWithRun } from './server.ts'

export const S3_KEYS = {
  BACKUP_S3_ACCESS_KEY_ID: 'AKIATESTTESTTESTTEST',
  BACKUP_S3_SECRET_ACCESS_KEY: 's3cr3t-Qm7Zt2Vx9Kp4Lw8Rb3Nc6Hd1Jf5Gy0',
} as const

export type S3Server = {
  readonly endpoint: string
  /** By their keys, without the bucket. */
  readonly objects: Map<string, Buffer>
  /** What was asked for, such as `PUT prefix/name`, in order; refused requests begin with `refused`. */
  readonly requests: string[]
  /** While it gives a status, everything is answered with that. */
  failWith: number | null
}

export function startS3Server(bucket: string): S3Server {
  const objects = new Map<string, Buffer>()
  const uploads = new Map<string, Map<number, Buffer>>()
  const state: S3Server = { endpoint: '', objects, requests: [], failWith: null }
  const server = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    async fetch(request) {
      const url = new URL(request.url)
      const key = decodeURIComponent(url.pathname.slice(bucket.length + 2))
      const refused = url.pathname.startsWith(`/${bucket}`) ? check(request, url) : 'NoSuchBucket'
      state.requests.push(`${refused ? 'refused ' : ''}${request.method} ${key}`)
      if (refused) return problem(403, refused)
      if (state.failWith !== null) return problem(state.failWith, 'SlowDown')
      const body = Buffer.from(await request.arrayBuffer())
      return answer(request.method, key, url.searchParams, body)
    },
  })
  closeWithRun(() => server.stop(true))

  function answer(method: string, key: string, query: URLSearchParams, body: Buffer): Response {
    if (method === 'GET' && key === '') return list(query)
    if (method === 'POST' && query.has('uploads')) return begin(key)
    const id = query.get('uploadId')
    if (id !== null) return part(method, key, id, Number(query.get('partNumber')), body)
    if (method === 'PUT') {
      objects.set(key, body)
      return new Response(null, { headers: { etag: etag(body) } })
    }
    if (method === 'DELETE') {
      objects.delete(key)
      return new Response(null, { status: 204 })
    }
    const object = objects.get(key)
    if (!object) return problem(404, 'NoSuchKey')
    const headers = {
      etag: etag(object),
      'content-length': String(object.length),
      'last-modified': new Date().toUTCString(),
    }
    return new Response(method === 'HEAD' ? null : object, { headers })
  }

  function list(query: URLSearchParams): Response {
    const after = query.get('start-after') ?? ''
    const all = [...objects.keys()]
      .filter((key) => key.startsWith(query.get('prefix') ?? '') && key > after)
      .sort()
    const page = all.slice(0, Number(query.get('max-keys') ?? 1000))
    const contents = page.map(
      (key) => `<Contents><Key>${key}</Key><Size>${objects.get(key)?.length}</Size></Contents>`,
    )
    return xml(
      `<ListBucketResult><Name>${bucket}</Name><IsTruncated>${page.length < all.length}</IsTruncated>${contents.join('')}</ListBucketResult>`,
    )
  }

  function begin(key: string): Response {
    const id = crypto.randomUUID()
    uploads.set(id, new Map())
    return xml(
      `<InitiateMultipartUploadResult><Bucket>${bucket}</Bucket><Key>${key}</Key><UploadId>${id}</UploadId></InitiateMultipartUploadResult>`,
    )
  }

  function part(method: string, key: string, id: string, number: number, body: Buffer): Response {
    const parts = uploads.get(id)
    if (!parts) return problem(404, 'NoSuchUpload')
    if (method === 'PUT') {
      parts.set(number, body)
      return new Response(null, { headers: { etag: etag(body) } })
    }
    uploads.delete(id)
    if (method === 'POST') {
      const ordered = [...parts].toSorted(([one], [other]) => one - other)
      objects.set(key, Buffer.concat(ordered.map(([, bytes]) => bytes)))
    }
    return xml(`<CompleteMultipartUploadResult><Key>${key}</Key></CompleteMultipartUploadResult>`)
  }

  return Object.assign(state, { endpoint: `http://127.0.0.1:${server.port}` })
}

/** The code of the refusal; null if the signature is right (docs.aws.amazon.com, "Signature Version 4"). */
function check(request: Request, url: URL): string | null {
  const pattern =
    /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([^/]+)\/s3\/aws4_request, ?SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})$/
  const [, id, day = '', region = '', signed = '', signature] =
    pattern.exec(request.headers.get('authorization') ?? '') ?? []
  if (id !== S3_KEYS.BACKUP_S3_ACCESS_KEY_ID) return 'InvalidAccessKeyId'
  // No session has been given to anybody.
  if (request.headers.has('x-amz-security-token')) return 'InvalidToken'
  const names = signed.split(';')
  if (!names.includes('host') || !names.includes('x-amz-date')) return 'AccessDenied'
  const query = [...url.searchParams]
    .map(([name, value]) => `${encode(name)}=${encode(value)}`)
    .sort()
  const canonical = [
    request.method,
    url.pathname,
    query.join('&'),
    ...names.map((name) => `${name}:${request.headers.get(name)?.trim()}`),
    '',
    signed,
    request.headers.get('x-amz-content-sha256'),
  ].join('\n')
  const scope = `${day}/${region}/s3/aws4_request`
  const hashed = createHash('sha256').update(canonical).digest('hex')
  const text = ['AWS4-HMAC-SHA256', request.headers.get('x-amz-date'), scope, hashed].join('\n')
  const secret = `AWS4${S3_KEYS.BACKUP_S3_SECRET_ACCESS_KEY}`
  const key = [day, region, 's3', 'aws4_request'].reduce<string | Buffer>(hmac, secret)
  return hmac(key, text).toString('hex') === signature ? null : 'SignatureDoesNotMatch'
}

function hmac(key: string | Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest()
}

function encode(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
  )
}

function etag(body: Buffer): string {
  return `"${createHash('md5').update(body).digest('hex')}"`
}

function problem(status: number, code: string): Response {
  // As Amazon does, it repeats what was signed.
  return xml(
    `<Error><Code>${code}</Code><Message>no</Message><AWSAccessKeyId>${S3_KEYS.BACKUP_S3_ACCESS_KEY_ID}</AWSAccessKeyId></Error>`,
    status,
  )
}

function xml(text: string, status = 200): Response {
  const headers = { 'content-type': 'application/xml' }
  return new Response(`<?xml version="1.0" encoding="UTF-8"?>${text}`, { status, headers })
}
