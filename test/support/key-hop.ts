/**
 * Stands between a client that can send no key, as test suites of others cannot, and a server of ours. It adds the key to
 * each request, and what stands before its path, and passes every other byte as it comes, in both directions.
 */
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { closeWithRun } from './server.ts'

export type KeyHop = { readonly url: string; readonly port: number }

const servers = new Set<Server>()
const sockets = new Set<Socket>()
closeWithRun(() => {
  for (const socket of sockets) socket.destroy()
  for (const server of servers) server.close()
})

export async function startKeyHop(target: string, key: string, prefix = ''): Promise<KeyHop> {
  const { hostname, port } = new URL(target)
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    const upstream = connect({
      host: hostname,
      port: Number(port),
      allowHalfOpen: true,
      noDelay: true,
    })
    const rewrite = createRewriter(key, prefix)
    client.on('data', (data) => flow(client, upstream, rewrite(data.toString('latin1'))))
    upstream.on('data', (data) => flow(upstream, client, data))
    join(client, upstream)
    join(upstream, client)
  })
  servers.add(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const own = (server.address() as AddressInfo).port
  return { url: `http://127.0.0.1:${own}`, port: own }
}

/** No faster than it is read. */
function flow(from: Socket, to: Socket, data: string | Buffer): void {
  if (data.length === 0 || to.write(data, 'latin1')) return
  from.pause()
  to.once('drain', () => from.resume())
}

/** An end on one side is an end on the other, and a break a break. */
function join(one: Socket, other: Socket): void {
  sockets.add(one)
  one.on('end', () => other.end())
  one.on('error', () => other.resetAndDestroy())
  one.on('close', () => {
    sockets.delete(one)
    if (!one.readableEnded) other.destroy()
  })
}

type Phase = 'head' | 'body' | 'chunk' | 'size' | 'trailer'

/** Takes the bytes of one connection as latin1 and gives back those to be sent; must know where each request ends. */
function createRewriter(key: string, prefix: string): (text: string) => string {
  let phase: Phase = 'head'
  let held = ''
  let left = 0

  function takeLine(line: string): string {
    if (phase === 'size') {
      const size = Number.parseInt(line, 16)
      phase = size > 0 ? 'chunk' : 'trailer'
      // With the line break behind it.
      left = size + 2
      return line
    }
    if (phase === 'trailer') {
      if (line === '\r\n') phase = 'head'
      return line
    }
    left = Number(/^content-length: *(\d+)/im.exec(line)?.[1] ?? 0)
    if (/^transfer-encoding: *chunked/im.test(line)) phase = 'size'
    else if (left > 0) phase = 'body'
    return line.replace(/^(\S+ )(\/?.*\r\n)/, `$1${prefix}$2X-API-Key: ${key}\r\n`)
  }

  return function rewrite(text) {
    let rest = held + text
    let result = ''
    held = ''
    while (rest !== '') {
      if (phase === 'body' || phase === 'chunk') {
        const piece = rest.slice(0, left)
        result += piece
        left -= piece.length
        rest = rest.slice(piece.length)
        if (left === 0) phase = phase === 'body' ? 'head' : 'size'
        continue
      }
      const mark = phase === 'head' ? '\r\n\r\n' : '\r\n'
      const end = rest.indexOf(mark)
      if (end < 0) {
        held = rest
        break
      }
      result += takeLine(rest.slice(0, end + mark.length))
      rest = rest.slice(end + mark.length)
    }
    return result
  }
}
