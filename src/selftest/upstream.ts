/**
 * The upstream of the self-test: it does what the path of a call says, and counts every call that reaches it. It listens
 * on the loopback address only.
 */
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { readMessage } from './wire.ts'

/**
 * What the upstream does with a call: answers at once, late, or in parts; fails; resets the connection; or breaks off
 * within the answer.
 */
export type Act = 'ok' | 'slow' | 'stream' | 'fail' | 'reset' | 'cut'

export type Upstream = {
  /** `host:port`. */
  readonly host: string
  /** How often each call has arrived whole, by its id. */
  readonly hits: ReadonlyMap<number, number>
  close(): void
}

/** Long enough that calls wait for each other at the edge of a quota, short enough to make thousands. */
const DELAY_MS = 15

const JSON_HEAD = 'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n'
const OK = `${JSON_HEAD}Content-Length: 2\r\n\r\n{}`
const PARTS = [
  `${JSON_HEAD}Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n`,
  '1\r\n}\r\n0\r\n\r\n',
] as const
const FAILURE = 'HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n'

export async function startUpstream(): Promise<Upstream> {
  const hits = new Map<number, number>()
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    // The server's death resets its connections; the calls on them are the client's to judge.
    socket.on('error', () => {})
    let text = ''
    socket.on('data', (data) => {
      text += data.toString('latin1')
      const request = readMessage(text)
      if (!request || request.length === null) return
      text = text.slice(request.length)
      const [, act = '', id = ''] = /^POST \/(\w+)\/(\d+) /.exec(request.start) ?? []
      hits.set(Number(id), (hits.get(Number(id)) ?? 0) + 1)
      perform(act as Act, socket)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    hits,
    close() {
      for (const socket of sockets) socket.destroy()
      server.close()
    },
  }
}

function perform(act: Act, socket: Socket): void {
  const later = (action: () => void) => setTimeout(action, DELAY_MS)
  if (act === 'ok') socket.write(OK)
  else if (act === 'slow') later(() => socket.write(OK))
  else if (act === 'fail') later(() => socket.write(FAILURE))
  else if (act === 'reset') later(() => socket.resetAndDestroy())
  else {
    socket.write(PARTS[0])
    later(() => (act === 'stream' ? socket.write(PARTS[1]) : socket.resetAndDestroy()))
  }
}
