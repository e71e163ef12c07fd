/** A name server of the test's own, over UDP, whose answers the test decides question by question. */
import { afterAll } from 'bun:test'
import { createSocket, type Socket } from 'node:dgram'
import { Resolver } from 'node:dns/promises'
import { isIPv4 } from 'node:net'
import ipaddr from 'ipaddr.js'

export type NameServer = {
  /** The names and types that were asked for, oldest first. */
  readonly asked: string[]
  /** As the egress guard asks a resolver. */
  resolve(host: string): Promise<{ address: string; family: 4 | 6 }[]>
}

const A = 1
const AAAA = 28
/** RFC 1035 section 4.1.1: a name that does not exist. */
const NXDOMAIN = 3

const sockets = new Set<Socket>()
afterAll(() => {
  for (const socket of sockets) socket.close()
  sockets.clear()
})

/** `answer` is asked once for each look-up of a name, by its first question; what it says holds for both types. */
export async function startNameServer(
  answer: (host: string) => readonly string[],
): Promise<NameServer> {
  const asked: string[] = []
  const socket = createSocket('udp4')
  sockets.add(socket)
  const latest = new Map<string, readonly string[]>()
  socket.on('message', (query, { port, address }) => {
    const { host, type, end } = readQuestion(query)
    asked.push(`${type === A ? 'A' : 'AAAA'} ${host}`)
    if (type === A) latest.set(host, answer(host))
    const addresses = latest.get(host) ?? []
    const fitting = addresses.filter((one) => isIPv4(one) === (type === A))
    socket.send(reply(query, end, type, fitting, addresses.length > 0), port, address)
  })
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve))
  const resolver = new Resolver({ timeout: 1_000, tries: 1 })
  resolver.setServers([`127.0.0.1:${socket.address().port}`])
  return {
    asked,
    async resolve(host) {
      const four = await resolver.resolve4(host).catch(() => [])
      const six = await resolver.resolve6(host).catch(() => [])
      return [
        ...four.map((address) => ({ address, family: 4 as const })),
        ...six.map((address) => ({ address, family: 6 as const })),
      ]
    },
  }
}

function readQuestion(query: Buffer): { host: string; type: number; end: number } {
  const labels: string[] = []
  let at = 12
  for (let length = query[at] ?? 0; length > 0; length = query[at] ?? 0) {
    labels.push(query.toString('latin1', at + 1, at + 1 + length))
    at += 1 + length
  }
  return { host: labels.join('.').toLowerCase(), type: query.readUInt16BE(at + 1), end: at + 5 }
}

/** RFC 1035 section 4.1: the question again, and its answers, which may be kept for no time at all. */
function reply(
  query: Buffer,
  end: number,
  type: number,
  addresses: readonly string[],
  exists: boolean,
): Buffer {
  const head = Buffer.from(query.subarray(0, 12))
  head.writeUInt16BE(0x8180 | (exists ? 0 : NXDOMAIN), 2)
  head.writeUInt16BE(addresses.length, 6)
  head.writeUInt32BE(0, 8)
  const records = addresses.map((text) => {
    const bytes = Buffer.from(ipaddr.parse(text).toByteArray())
    const record = Buffer.alloc(12)
    record.writeUInt16BE(0xc00c, 0)
    record.writeUInt16BE(type === AAAA ? AAAA : A, 2)
    record.writeUInt16BE(1, 4)
    record.writeUInt16BE(bytes.length, 10)
    return Buffer.concat([record, bytes])
  })
  return Buffer.concat([head, query.subarray(12, end), ...records])
}
