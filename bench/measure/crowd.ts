/**
 * What calls feel of a crowd: of a thousand calls that hang, a thousand event streams and a thousand readers that do not read
 * their endless answers, of three other keys, on two other upstreams.
 */
import { readFileSync } from 'node:fs'
import {
  type AddressInfo,
  connect,
  createServer,
  type Server as NetServer,
  type Socket,
} from 'node:net'
import { BARS, judge } from '../bars.ts'
import { WARM_UP_S } from '../load/rounds.ts'
import { envelope, MODERATE } from '../load/traffic.ts'
import { measure, type Sample } from '../load/wrk.ts'
import { memory } from '../process-stats.ts'
import { differences, spread } from '../report/statistics.ts'
import { table, withSpread } from '../report/table.ts'
import type { Bench, Section } from '../section.ts'
import { addUpstream, startQuotaProxy } from '../servers/quota-proxy.ts'

const CROWD = 1_000
const KEYS = 4

const WINDOW_S = 2

const CHUNK = `10000\r\n${'z'.repeat(0x10000)}\r\n`
const CHUNKED = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n'
const EVENT = 'd\r\ndata: hello\n\n\r\n'

export async function measureCrowd(bench: Bench): Promise<Section> {
  const { workspace, upstream, settings, say } = bench
  const { dataDir, keysFile } = await bench.dataset({ keys: KEYS, calls: 0 })
  const [quiet = '', ...loud] = readFileSync(keysFile(KEYS), 'utf8').trim().split('\n')
  const crowded = await Promise.all([startCrowded(), startCrowded()])
  const server = await startQuotaProxy(workspace, 'crowd', upstream, { DATA_DIR: dataDir })
  for (const [i, { url }] of crowded.entries()) {
    const mount = `/crowd-${i}`
    const problem = await addUpstream(server, dataDir, { name: `crowd-${i}`, base_url: url, mount })
    if (problem !== null) throw new Error(`the upstream was refused: ${problem}`)
  }

  const traffic = { ...envelope(upstream), key: quiet }
  const windowOf = () => measure(workspace, server, traffic, { ...MODERATE, seconds: WINDOW_S })
  await measure(workspace, server, traffic, { ...MODERATE, seconds: WARM_UP_S })
  const windows = Math.max(5, settings.rounds)
  const alone = []
  for (let i = 0; i < windows; i++) alone.push(await windowOf())
  const crowd = startCrowd(server.url, loud)
  const beside = []
  const residents: number[] = []
  for (let i = 0; i < windows; i++) {
    beside.push(await windowOf())
    residents.push(memory(server.pid).residentMiB)
    say(`  window ${i + 1}: p99 ${beside.at(-1)?.p99Ms} ms, ${residents.at(-1)?.toFixed(0)} MiB`)
  }
  for (const socket of crowd) socket.destroy()
  for (const { close } of crowded) close()
  await server.stop()
  return report(alone.map(p99), beside.map(p99), residents)
}

function p99({ p99Ms }: Sample): number {
  return p99Ms
}

function report(
  alone: readonly number[],
  beside: readonly number[],
  residents: readonly number[],
): Section {
  return {
    title: 'A crowd',
    markdown: `${table(
      ['', 'p99 ms', 'worst window ms', 'MiB'],
      [
        ['alone', withSpread(spread(alone), 2), Math.max(...alone).toFixed(1), ''],
        [
          `beside ${CROWD} hanging calls, ${CROWD} event streams, ${CROWD} unread answers`,
          withSpread(spread(beside), 2),
          Math.max(...beside).toFixed(1),
          withSpread(spread(residents), 0),
        ],
      ],
    )}

The p99 of one key's calls at a moderate load, in windows of ${WINDOW_S} s, the first of which begins with the crowd. It has three other
keys and two other upstreams; the unread answers have no end. Memory is what the process has after each window.`,
    verdicts: [
      judge(BARS.crowdP99, spread(beside)),
      judge(BARS.crowdMemory, spread(residents)),
      judge(BARS.crowdAdded, spread(differences(beside, alone))),
    ],
    charts: {},
  }
}

/** Each of them is asked by its path for what it is to do. */
function startCrowd(url: string, [hanging = '', streaming = '', reading = '']: string[]): Socket[] {
  return Array.from({ length: CROWD }, (_, i) => [
    ask(url, '/u/crowd-0/hang', hanging, true),
    ask(url, '/u/crowd-1/stream', streaming, true),
    ask(url, `/u/crowd-${i % 2}/flood`, reading, false),
  ]).flat()
}

function ask(url: string, path: string, key: string, reads: boolean): Socket {
  const { hostname, port } = new URL(url)
  const socket = connect(Number(port), hostname)
  socket.on('error', () => {})
  if (reads) socket.on('data', () => {})
  else socket.pause()
  socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\nX-API-Key: ${key}\r\n\r\n`)
  return socket
}

async function startCrowded(): Promise<{ readonly url: string; close(): void }> {
  const sockets = new Set<Socket>()
  const server: NetServer = createServer((socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => {})
    socket.once('data', (data) => serve(socket, data.toString('latin1')))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close() {
      for (const socket of sockets) socket.destroy()
      server.close()
    },
  }
}

function serve(socket: Socket, request: string): void {
  if (request.startsWith('GET /stream')) {
    socket.write(`${CHUNKED}Content-Type: text/event-stream\r\n\r\n`)
    const timer = setInterval(() => socket.write(EVENT), 1_000)
    socket.on('close', () => clearInterval(timer))
  } else if (request.startsWith('GET /flood')) {
    socket.write(`${CHUNKED}\r\n`)
    const more = () => {
      while (!socket.destroyed) if (!socket.write(CHUNK)) return void socket.once('drain', more)
    }
    more()
  }
}
