/**
 * What stands between two programs and does not look into what passes: a balancer, and a line that can be cut. The balancer
 * knows nothing: each new connection goes to the next server, and to the one after it if that refuses it.
 */
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { closeWithRun } from './server.ts'

export async function startBalancer(ports: readonly number[]): Promise<number> {
  const open = new Set<Socket>()
  let turn = 0
  const server = createServer({ allowHalfOpen: true }, (client) => {
    const first = turn++
    open.add(client)
    client.on('close', () => open.delete(client))
    client.on('error', () => {})
    const tryAt = (tries: number): void => {
      const port = ports[(first + tries) % ports.length]
      if (port === undefined || tries === ports.length) return void client.destroy()
      const target = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
      target.once('connect', () => join(client, target))
      target.once('error', (error: NodeJS.ErrnoException) => {
        if (error.code === 'ECONNREFUSED') tryAt(tries + 1)
        else client.destroy()
      })
    }
    tryAt(0)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  closeWithRun(() => {
    for (const socket of open) socket.destroy()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

export type Line = {
  readonly port: number
  /** Of each connection, what its server says next does not arrive, and the connection ends: what was asked for may be done. */
  cut(): void
}

export async function startLine(to: number): Promise<Line> {
  const pairs = new Set<readonly [client: Socket, target: Socket]>()
  const server = createServer((client) => {
    const target = connect({ port: to, host: '127.0.0.1' })
    const pair = [client, target] as const
    pairs.add(pair)
    target.on('close', () => pairs.delete(pair))
    client.on('error', () => {})
    join(client, target)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  closeWithRun(() => {
    for (const [client] of pairs) client.destroy()
    server.close()
  })
  return {
    port: (server.address() as AddressInfo).port,
    cut() {
      for (const [client, target] of pairs) {
        target.unpipe(client)
        target.once('data', () => target.destroy())
        target.resume()
      }
    },
  }
}

function join(client: Socket, target: Socket): void {
  target.on('error', () => {})
  client.pipe(target)
  target.pipe(client)
  client.on('close', () => target.destroy())
  target.on('close', () => client.destroy())
  if (client.destroyed) target.destroy()
}
