/** WebSockets on both sides of a proxy: an upstream that remembers what reached it, and clients that see what a program sees. */
import { afterAll } from 'bun:test'
import { createHash } from 'node:crypto'
import type { Socket } from 'node:net'
import type { ServerWebSocket } from 'bun'
import { addUpstream, CREDENTIAL } from './named-upstream.ts'
import { issueKey, type TestServer } from './server.ts'
import { openClient } from './wire.ts'

export type Closed = { readonly code: number; readonly reason: string }

export type Connection = {
  readonly path: string
  readonly headers: Headers
  readonly messages: (string | Uint8Array)[]
  readonly socket: ServerWebSocket<Connection>
  readonly closed: Promise<Closed>
}

export type SocketUpstream = {
  readonly url: string
  /** `host:port`, as PROXY_EGRESS_ALLOW takes it. */
  readonly host: string
  /** Every request, whether it became a connection or not. */
  readonly seen: Request[]
  /** Oldest first; closed ones too. */
  readonly connections: Connection[]
}

type Behaviour = {
  /** Answers instead of opening a connection. */
  readonly refuse?: (request: Request) => Response | Promise<Response> | undefined
  readonly opened?: (connection: Connection) => void
  /** By default it says back what it was sent. */
  readonly message?: (connection: Connection, data: string | Uint8Array) => void
  readonly protocol?: string
  readonly tls?: { readonly key: string; readonly cert: string }
}

const servers = new Set<{ stop(force?: boolean): unknown }>()
const clients = new Set<WebSocket>()

afterAll(() => {
  for (const client of clients) client.terminate()
  for (const server of servers) server.stop(true)
  clients.clear()
  servers.clear()
})

/** Far above what any test sends. */
const MESSAGE_BYTES_MAX = 128 * 1024 * 1024

export function startSocketUpstream(behaviour: Behaviour = {}): SocketUpstream {
  const seen: Request[] = []
  const connections: Connection[] = []
  type Data = { connection?: Connection; close(closed: Closed): void }
  const server = Bun.serve<Data>({
    hostname: '127.0.0.1',
    port: 0,
    ...(behaviour.tls && { tls: behaviour.tls }),
    async fetch(request, listener) {
      seen.push(request)
      const refused = await behaviour.refuse?.(request)
      if (refused) return refused
      const closed = Promise.withResolvers<Closed>()
      const data: Data & { request: Request; closed: Promise<Closed> } = {
        close: closed.resolve,
        closed: closed.promise,
        request,
      }
      const headers = behaviour.protocol ? { 'sec-websocket-protocol': behaviour.protocol } : {}
      return listener.upgrade(request, { data, headers })
        ? undefined
        : new Response('not a WebSocket', { status: 400 })
    },
    websocket: {
      maxPayloadLength: MESSAGE_BYTES_MAX,
      backpressureLimit: 4 * MESSAGE_BYTES_MAX,
      open(socket) {
        const { request, closed } = socket.data as Data & {
          request: Request
          closed: Promise<Closed>
        }
        const { pathname, search } = new URL(request.url)
        const connection: Connection = {
          path: pathname + search,
          headers: request.headers,
          messages: [],
          socket: socket as unknown as ServerWebSocket<Connection>,
          closed,
        }
        socket.data.connection = connection
        connections.push(connection)
        behaviour.opened?.(connection)
      },
      message(socket, data) {
        const { connection } = socket.data
        if (!connection) return
        connection.messages.push(data)
        if (behaviour.message) behaviour.message(connection, data)
        else socket.send(data)
      },
      close: (socket, code, reason) => socket.data.close({ code, reason }),
    },
  })
  servers.add(server)
  const host = `127.0.0.1:${server.port}`
  return { url: `${behaviour.tls ? 'https' : 'http'}://${host}`, host, seen, connections }
}

export type Client = {
  readonly socket: WebSocket
  readonly messages: (string | Uint8Array)[]
  readonly closed: Promise<Closed>
  /** The next message that nobody has taken yet. */
  next(): Promise<string | Uint8Array>
}

/** Rejects with the reason if it is refused. `url` is that of the server, with http. */
export async function openWebSocket(
  url: string,
  headers: Record<string, string>,
  protocols: readonly string[] = [],
): Promise<Client> {
  const socket = new WebSocket(url.replace(/^http/, 'ws'), {
    headers,
    ...(protocols.length > 0 && { protocols: [...protocols] }),
  })
  clients.add(socket)
  socket.binaryType = 'arraybuffer'
  const messages: (string | Uint8Array)[] = []
  let taken = 0
  let wake = () => {}
  socket.addEventListener('message', ({ data }) => {
    messages.push(typeof data === 'string' ? data : new Uint8Array(data as ArrayBuffer))
    wake()
  })
  const closed = new Promise<Closed>((resolve) => {
    socket.addEventListener('close', ({ code, reason }) => {
      clients.delete(socket)
      resolve({ code, reason })
      wake()
    })
  })
  await new Promise<void>((resolve, reject) => {
    socket.addEventListener('open', () => resolve())
    socket.addEventListener('error', (event) =>
      reject(new Error('message' in event ? String(event.message) : 'refused')),
    )
  })
  return {
    socket,
    messages,
    closed,
    async next() {
      while (messages.length <= taken) {
        if (socket.readyState === WebSocket.CLOSED) throw new Error('closed before a message came')
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      }
      taken += 1
      return messages[taken - 1] as string | Uint8Array
    },
  }
}

/** What asks for a WebSocket, written by hand; `fields` are lines besides those that it needs. */
export function upgradeBytes(path: string, fields: Record<string, string>): string {
  const all = {
    host: 'localhost',
    connection: 'Upgrade',
    upgrade: 'websocket',
    'sec-websocket-version': '13',
    'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
    ...fields,
  }
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}`)
  return `${[`GET ${path} HTTP/1.1`, ...lines].join('\r\n')}\r\n\r\n`
}

export type RawSocket = { readonly socket: Socket; readonly head: string; readonly rest: Buffer }

/** A client that has read the head of the answer, and perhaps a little more, and then nothing. */
export async function openRawSocket(
  url: string,
  path: string,
  fields: Record<string, string>,
): Promise<RawSocket> {
  const { socket } = await openClient(url)
  socket.removeAllListeners('data')
  const answered = new Promise<Buffer>((resolve) => {
    let bytes = Buffer.alloc(0)
    const read = (data: Buffer) => {
      bytes = Buffer.concat([bytes, data])
      if (!bytes.includes('\r\n\r\n')) return
      socket.pause()
      socket.off('data', read)
      resolve(bytes)
    }
    socket.on('data', read)
  })
  socket.write(upgradeBytes(path, fields))
  const bytes = await answered
  const end = bytes.indexOf('\r\n\r\n') + 4
  return { socket, head: bytes.toString('latin1', 0, end), rest: bytes.subarray(end) }
}

/** RFC 6455 section 4.2.2. */
export function switching(headers: readonly (readonly [string, string])[]): Buffer {
  const key = headers.find(([name]) => name === 'sec-websocket-key')?.[1]
  const accept = createHash('sha1')
    .update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
    .digest('base64')
  return Buffer.from(
    `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
  )
}

/** A frame of a server: whole, not masked, shorter than 126 bytes. */
export function frame(opcode: number, text: string): Buffer {
  return Buffer.concat([Buffer.from([0x80 | opcode, text.length]), Buffer.from(text)])
}

export function closeFrame(code: number, reason: string): Buffer {
  return Buffer.concat([
    Buffer.from([0x88, 2 + reason.length, code >> 8, code & 255]),
    Buffer.from(reason),
  ])
}

export type Joined = {
  readonly client: Client
  readonly far: Connection
  readonly id: string
  readonly key: string
}

/** A new key and its open connection through a server, and that connection as the upstream has it. */
export async function joinSocket(
  server: TestServer,
  upstream: SocketUpstream,
  path: string,
): Promise<Joined> {
  const { key, id } = await issueKey(server, { quota: 10 })
  const count = upstream.connections.length
  const client = await openWebSocket(server.url + path, bearer(key))
  const far = upstream.connections[count]
  if (!far) throw new Error('the upstream has no connection')
  return { client, far, id, key }
}

export function bearer(key: string): Record<string, string> {
  return { authorization: `Bearer ${key}` }
}

/** An upstream that takes WebSockets. */
export function addSocketUpstream(
  server: TestServer,
  name: string,
  fields: Record<string, unknown>,
): Promise<void> {
  const credential = { secret: CREDENTIAL }
  return addUpstream(server, { name, credential, websocket_seconds_max: 3600, ...fields })
}
