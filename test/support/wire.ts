/**
 * HTTP/1.1 by hand, where `fetch` would hide what is on the wire: an upstream that may break every rule, and a client
 * that sends any bytes and sees all of them.
 */
import { afterAll } from 'bun:test'
import { readFileSync } from 'node:fs'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { connect as connectTls, createServer as createTlsServer, type TlsOptions } from 'node:tls'

/** Everything is latin1: one character is one byte. */
export type RawRequest = {
  readonly method: string
  readonly target: string
  /** In order, names in lower case, repeated ones apart. */
  readonly headers: readonly (readonly [string, string])[]
  readonly body: string
}

export type RawUpstream = {
  readonly url: string
  /** `host:port`, as PROXY_EGRESS_ALLOW takes it. */
  readonly host: string
  readonly seen: RawRequest[]
  /** Connections that are open now. */
  readonly sockets: ReadonlySet<Socket>
}

const servers = new Set<Server>()
const sockets = new Set<Socket>()

afterAll(() => {
  for (const socket of sockets) socket.destroy()
  for (const server of servers) server.close()
  sockets.clear()
  servers.clear()
})

/** `answer` is called for each request that has arrived whole, and writes what it likes. */
export async function startRawUpstream(
  answer: (socket: Socket, request: RawRequest) => void,
  tls?: TlsOptions,
): Promise<RawUpstream> {
  const seen: RawRequest[] = []
  const listener = await startListener((socket) => {
    let text = ''
    socket.on('data', (data) => {
      text += data.toString('latin1')
      for (;;) {
        const request = readRequest(text)
        if (!request) return
        text = text.slice(request.length)
        seen.push(request)
        answer(socket, request)
      }
    })
  }, tls)
  return { ...listener, seen }
}

export type Listener = Omit<RawUpstream, 'seen'>

/** An upstream that does with each connection what `serve` does. With `tls` it is called by its name, not its address. */
export async function startListener(
  serve: (socket: Socket) => void,
  tls?: TlsOptions,
): Promise<Listener> {
  const own = new Set<Socket>()
  const onSocket = (socket: Socket) => {
    keep(socket)
    own.add(socket)
    socket.on('close', () => own.delete(socket))
    serve(socket)
  }
  const server = tls ? createTlsServer(tls, onSocket) : createServer(onSocket)
  servers.add(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const host = `127.0.0.1:${port}`
  return { url: tls ? `https://localhost:${port}` : `http://${host}`, host, sockets: own }
}

/** A port of 127.0.0.1 where nobody listens. */
export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

export type RawAnswer = {
  readonly status: number
  readonly headers: readonly (readonly [string, string])[]
  /** The values of one header, one for each time that it was sent. */
  all(name: string): string[]
  /** The value of a header that was sent once; null if it was not. */
  header(name: string): string | null
  readonly body: Buffer
  /** Whether the answer came to the end that its framing announces. */
  readonly whole: boolean
}

export type RawClient = {
  readonly socket: Socket
  /** False if the socket is full for now. */
  write(bytes: string | Uint8Array): boolean
  /** Resolves when the socket is empty again, or gone. */
  drained(): Promise<void>
  /**
   * The next answer; what of it there was, if the connection ends or `waitMs` pass before its end. That to a HEAD has no
   * body, whatever it announces.
   */
  answer(waitMs?: number, method?: string): Promise<RawAnswer>
}

/** With `https:` the authority has to be `ca`, or one that the environment names, as for `fetch`. */
export async function openClient(url: string, ca = environmentCa()): Promise<RawClient> {
  const { socket, connected } = connectTo(url, ca)
  keep(socket)
  let bytes: Buffer = Buffer.alloc(0)
  let ended = false
  let wake = () => {}
  let drain = () => {}
  socket.on('drain', () => drain())
  socket.on('close', () => drain())
  socket.on('data', (data: Buffer) => {
    bytes = Buffer.concat([bytes, data])
    wake()
  })
  socket.on('close', () => {
    ended = true
    wake()
  })
  await new Promise<void>((resolve) => socket.once(connected, resolve))
  return {
    socket,
    write: (data) => socket.write(data),
    drained: () =>
      new Promise((resolve) => {
        drain = resolve
      }),
    async answer(waitMs = 5_000, method = 'GET') {
      const late = Bun.sleep(waitMs).then(() => 'late')
      for (;;) {
        const found = readAnswer(bytes, method)
        if (found.whole || ended) {
          bytes = bytes.subarray(found.length)
          return found
        }
        const news = new Promise<string>((resolve) => {
          wake = () => resolve('news')
        })
        if ((await Promise.race([news, late])) === 'late') return readAnswer(bytes, method)
      }
    },
  }
}

function environmentCa(): Buffer[] {
  const authorities = process.env['NODE_EXTRA_CA_CERTS']
  return authorities === undefined ? [] : [readFileSync(authorities)]
}

function connectTo(url: string, ca: Buffer[]) {
  const { protocol, hostname, port } = new URL(url)
  if (protocol === 'http:')
    return { socket: connect(Number(port), hostname), connected: 'connect' } as const
  const socket = connectTls({ port: Number(port), host: hostname, servername: hostname, ca })
  return { socket, connected: 'secureConnect' } as const
}

/** One request on a connection of its own. */
export async function exchange(
  url: string,
  bytes: string | Uint8Array,
  ca?: Buffer[],
): Promise<RawAnswer> {
  const client = await openClient(url, ca)
  client.write(bytes)
  const answer = await client.answer()
  client.socket.destroy()
  return answer
}

/** The bytes of a call of `POST /proxy`; `envelope` is text, or becomes JSON. */
export function callBytes(
  headers: Readonly<Record<string, string>>,
  envelope: unknown,
  extra: readonly string[] = [],
): Buffer {
  const body = Buffer.from(typeof envelope === 'string' ? envelope : JSON.stringify(envelope))
  const lines = [
    'POST /proxy HTTP/1.1',
    'Host: localhost',
    `Content-Length: ${body.byteLength}`,
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
    ...extra,
  ]
  return Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), body])
}

function keep(socket: Socket): void {
  sockets.add(socket)
  socket.on('close', () => sockets.delete(socket))
  socket.on('error', () => {})
}

function readRequest(text: string): (RawRequest & { readonly length: number }) | null {
  const head = readHead(text)
  if (!head) return null
  const [method = '', target = ''] = head.first.split(' ')
  const { headers } = head
  const value = (name: string) => headers.find(([own]) => own === name)?.[1]
  if (value('transfer-encoding') === 'chunked') {
    const { body, length, whole } = readChunks(Buffer.from(text.slice(head.length), 'latin1'))
    if (!whole) return null
    return { method, target, headers, body: body.toString('latin1'), length: head.length + length }
  }
  const length = head.length + Number(value('content-length') ?? 0)
  if (text.length < length) return null
  return { method, target, headers, body: text.slice(head.length, length), length }
}

function readAnswer(bytes: Buffer, method: string): RawAnswer & { readonly length: number } {
  const head = readHead(bytes.toString('latin1'))
  const headers = head?.headers ?? []
  const all = (name: string) => headers.filter(([own]) => own === name).map(([, value]) => value)
  const header = (name: string) => all(name)[0] ?? null
  const status = Number(head?.first.split(' ')[1] ?? 0)
  // RFC 9110 section 15.2: interim answers come before the one that counts.
  if (head && status < 200) return readAnswer(bytes.subarray(head.length), method)
  const rest = bytes.subarray(head?.length ?? bytes.length)
  const isEmpty = method === 'HEAD' || status === 204 || status === 304
  const content = !head ? NOTHING : isEmpty ? EMPTY : readContent(rest, header)
  const length = (head?.length ?? 0) + content.length
  return { status, headers, all, header, body: content.body, whole: content.whole, length }
}

const NOTHING = { body: Buffer.alloc(0), length: 0, whole: false }
const EMPTY = { ...NOTHING, whole: true }

/** RFC 9112 section 6.3. */
function readContent(rest: Buffer, header: (name: string) => string | null) {
  if (header('transfer-encoding') === 'chunked') return readChunks(rest)
  const announced = Number(header('content-length') ?? Number.NaN)
  if (Number.isNaN(announced)) return { body: rest, length: rest.length, whole: false }
  const body = rest.subarray(0, announced)
  return { body, length: body.length, whole: body.length === announced }
}

/** RFC 9112 section 7.1: chunk extensions and trailers are no part of the body. */
export function readChunks(rest: Buffer) {
  const chunks: Buffer[] = []
  const extensions: string[] = []
  const content = (trailers: string[], length: number, whole: boolean) => {
    return { body: Buffer.concat(chunks), extensions, trailers, length, whole }
  }
  let at = 0
  for (;;) {
    const lineEnd = rest.indexOf('\r\n', at)
    const line = lineEnd < 0 ? '' : rest.toString('latin1', at, lineEnd)
    const size = Number.parseInt(line, 16)
    if (Number.isNaN(size)) return content([], rest.length, false)
    if (line.includes(';')) extensions.push(line.slice(line.indexOf(';')))
    const start = lineEnd + 2
    if (size === 0) {
      const end = rest.indexOf('\r\n\r\n', lineEnd)
      if (end < 0) return content([], rest.length, false)
      const trailers = end === lineEnd ? [] : rest.toString('latin1', start, end).split('\r\n')
      return content(trailers, end + 4, true)
    }
    chunks.push(rest.subarray(start, start + size))
    at = start + size + 2
  }
}

function readHead(text: string) {
  const end = text.indexOf('\r\n\r\n')
  if (end < 0) return null
  const [first = '', ...lines] = text.slice(0, end).split('\r\n')
  const headers = lines.map((line) => {
    const colon = line.indexOf(':')
    return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()] as const
  })
  return { first, headers, length: end + 4 }
}
