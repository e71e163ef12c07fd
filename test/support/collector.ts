/**
 * A collector of traces: takes what OpenTelemetry's exporters send over HTTP (OTLP), as protobuf or as JSON, and keeps the
 * spans. Field numbers are those of opentelemetry-proto, trace/v1/trace.proto.
 */
import { afterAll } from 'bun:test'
import { gunzipSync } from 'node:zlib'

export type Span = {
  readonly traceId: string
  readonly spanId: string
  /** Empty for the first of a trace. */
  readonly parentSpanId: string
  readonly traceState: string
  readonly name: string
  /** 2 is a server, 3 is a client. */
  readonly kind: number
  readonly attributes: Readonly<Record<string, string | number>>
  /** 2 is an error. */
  readonly status: number
  readonly startNs: bigint
  readonly endNs: bigint
  readonly resource: Readonly<Record<string, string | number>>
}

export type Collector = {
  readonly url: string
  readonly spans: Span[]
  /** The bodies as text, whatever they hold. */
  readonly bodies: string[]
  readonly requests: { readonly path: string; readonly headers: Headers }[]
}

const servers = new Set<{ stop(force?: boolean): unknown }>()

afterAll(() => {
  for (const server of servers) server.stop(true)
  servers.clear()
})

export function startCollector(status = 200): Collector {
  const spans: Span[] = []
  const bodies: string[] = []
  const requests: { path: string; headers: Headers }[] = []
  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    async fetch(request) {
      const { headers } = request
      requests.push({ path: new URL(request.url).pathname, headers })
      const sent = new Uint8Array(await request.arrayBuffer())
      const bytes = headers.get('content-encoding') === 'gzip' ? gunzipSync(sent) : sent
      bodies.push(Buffer.from(bytes).toString('latin1'))
      const isJson = headers.get('content-type') === 'application/json'
      if (status === 200) spans.push(...(isJson ? spansOfJson(bytes) : spansOfProtobuf(bytes)))
      return new Response(isJson ? '{}' : new Uint8Array(), { status })
    },
  })
  servers.add(server)
  return { url: `http://127.0.0.1:${server.port}`, spans, bodies, requests }
}

type JsonAttribute = {
  key: string
  value: { stringValue?: string; intValue?: string | number; doubleValue?: number }
}
type JsonSpan = {
  traceId: string
  spanId: string
  parentSpanId?: string
  traceState?: string
  name: string
  kind: number
  attributes?: JsonAttribute[]
  status?: { code?: number }
  startTimeUnixNano: string
  endTimeUnixNano: string
}
type JsonTraces = {
  resourceSpans: {
    resource: { attributes: JsonAttribute[] }
    scopeSpans: { spans: JsonSpan[] }[]
  }[]
}

function spansOfJson(bytes: Uint8Array): Span[] {
  const { resourceSpans } = JSON.parse(Buffer.from(bytes).toString()) as JsonTraces
  const read = (list: JsonAttribute[] = []) =>
    Object.fromEntries(
      list.map(({ key, value }) => [
        key,
        value.stringValue ?? Number(value.intValue ?? value.doubleValue),
      ]),
    )
  return resourceSpans.flatMap(({ resource, scopeSpans }) =>
    scopeSpans.flatMap(({ spans }) =>
      spans.map((span) => ({
        traceId: span.traceId,
        spanId: span.spanId,
        parentSpanId: span.parentSpanId ?? '',
        traceState: span.traceState ?? '',
        name: span.name,
        kind: span.kind,
        attributes: read(span.attributes),
        status: span.status?.code ?? 0,
        startNs: BigInt(span.startTimeUnixNano),
        endNs: BigInt(span.endTimeUnixNano),
        resource: read(resource.attributes),
      })),
    ),
  )
}

/** The fields of a message by number: numbers, or bytes that may be text or a message in turn. */
type Message = Map<number, (bigint | Uint8Array)[]>

function spansOfProtobuf(bytes: Uint8Array): Span[] {
  return messages(decode(bytes), 1).flatMap((resourceSpans) => {
    const resource = attributesOf(messages(resourceSpans, 1)[0] ?? new Map(), 1)
    return messages(resourceSpans, 2).flatMap((scopeSpans) =>
      messages(scopeSpans, 2).map((span) => ({
        traceId: hex(span, 1),
        spanId: hex(span, 2),
        parentSpanId: hex(span, 4),
        traceState: text(span, 3),
        name: text(span, 5),
        kind: Number(number(span, 6)),
        attributes: attributesOf(span, 9),
        status: Number(number(messages(span, 15)[0] ?? new Map(), 3)),
        startNs: number(span, 7),
        endNs: number(span, 8),
        resource,
      })),
    )
  })
}

function attributesOf(message: Message, field: number): Record<string, string | number> {
  return Object.fromEntries(
    messages(message, field).map((attribute) => {
      const value = messages(attribute, 2)[0] ?? new Map()
      return [text(attribute, 1), value.has(1) ? text(value, 1) : Number(number(value, 3))]
    }),
  )
}

function decode(bytes: Uint8Array): Message {
  const message: Message = new Map()
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let at = 0
  const varint = (): bigint => {
    let value = 0n
    for (let shift = 0n; ; shift += 7n) {
      const byte = view.getUint8(at++)
      value |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) return value
    }
  }
  const take = (length: number) => {
    at += length
    return bytes.subarray(at - length, at)
  }
  while (at < bytes.length) {
    const tag = Number(varint())
    const kind = tag & 7
    const value =
      kind === 0
        ? varint()
        : kind === 1
          ? new DataView(take(8).slice().buffer).getBigUint64(0, true)
          : kind === 5
            ? BigInt(new DataView(take(4).slice().buffer).getUint32(0, true))
            : take(Number(varint()))
    message.set(tag >> 3, [...(message.get(tag >> 3) ?? []), value])
  }
  return message
}

function bytesOf(message: Message, field: number): Uint8Array[] {
  return (message.get(field) ?? []).filter((value) => value instanceof Uint8Array)
}

function messages(message: Message, field: number): Message[] {
  return bytesOf(message, field).map(decode)
}

function text(message: Message, field: number): string {
  return Buffer.from(bytesOf(message, field)[0] ?? []).toString()
}

function hex(message: Message, field: number): string {
  return Buffer.from(bytesOf(message, field)[0] ?? []).toString('hex')
}

function number(message: Message, field: number): bigint {
  const value = message.get(field)?.[0]
  return typeof value === 'bigint' ? value : 0n
}
