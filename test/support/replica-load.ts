/**
 * What calls replicas through a balancer: clients that make one call at a time on a connection that they keep for a few calls,
 * never send a call again, and write down what they saw; and the upstream, which writes down what reached it.
 */
import { connect, type Socket } from 'node:net'
import { readMessage } from '../../src/selftest/wire.ts'

export type Call = {
  readonly id: number
  /** Place of its key in the list. */
  readonly key: number
  /** Null as long as there is no answer, and for ever if none came. */
  answer: Answer | null
}

export type Answer = {
  readonly status: number
  /** Number of the ledger entry. */
  readonly charge: number | null
  readonly code: string | null
}

/** Connections are changed so often that each client talks to all replicas. */
const CALLS_PER_CONNECTION = 8
/** Then the client leaves. A paused replica takes calls for longer. */
const ANSWER_MS_MAX = 8_000

/** `keys` are secrets. The upstream finds the number of a call in its path. */
export function createLoad(port: number, keys: readonly string[]) {
  const calls: Call[] = []
  return {
    calls: calls as readonly Call[],
    createClient() {
      let connection: Connection | null = null
      let used = 0
      return {
        async call(key: number): Promise<Call> {
          if (!connection?.isOpen() || used === CALLS_PER_CONNECTION) {
            connection?.close()
            connection = await open(port)
            used = 0
          }
          used++
          const call: Call = { id: calls.length, key, answer: null }
          calls.push(call)
          const message = await connection.exchange(requestOf(call, keys[key] ?? ''))
          call.answer = message === null ? null : answerOf(message)
          return call
        },
        close: () => connection?.close(),
      }
    },
  }
}

export type Load = ReturnType<typeof createLoad>
export type Client = ReturnType<Load['createClient']>

const BODY = JSON.stringify({
  model: 'm',
  max_tokens: 20,
  messages: [{ role: 'user', content: 'hi' }],
})

function requestOf({ id }: Call, secret: string): string {
  return (
    `POST /u/api/${id}/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer ${secret}\r\n` +
    `Content-Type: application/json\r\nContent-Length: ${BODY.length}\r\n\r\n${BODY}`
  )
}

function answerOf(text: string): Answer | null {
  const message = readMessage(text)
  if (!message) return null
  const charge = /^call_(\d+)$/.exec(message.header('x-quota-charge-id') ?? '')?.[1]
  return {
    status: Number(message.start.split(' ')[1]),
    charge: charge === undefined ? null : Number(charge),
    code: /"code":"(\w+)"/.exec(message.body)?.[1] ?? null,
  }
}

type Connection = {
  isOpen(): boolean
  /** As much of the answer as came; null if nothing did. */
  exchange(request: string): Promise<string | null>
  close(): void
}

async function open(port: number): Promise<Connection> {
  const socket: Socket = connect(port, '127.0.0.1')
  let text = ''
  let isOpen = true
  let answered: ((text: string | null) => void) | null = null
  const answer = () => {
    answered?.(text === '' ? null : text)
    answered = null
    text = ''
  }
  socket.on('data', (data) => {
    text += data.toString('latin1')
    const { length } = readMessage(text) ?? {}
    if (length !== null && length !== undefined) answer()
  })
  socket.on('error', () => {})
  socket.on('close', () => {
    isOpen = false
    answer()
  })
  socket.setTimeout(ANSWER_MS_MAX, () => socket.destroy())
  return {
    isOpen: () => isOpen,
    exchange(request) {
      if (!isOpen) return Promise.resolve(null)
      return new Promise((resolve) => {
        answered = resolve
        socket.write(request, 'latin1')
      })
    },
    close: () => void socket.destroy(),
  }
}

export type CountingUpstream = {
  readonly url: string
  /** `host:port`. */
  readonly host: string
  /** How often each call came. */
  readonly hits: ReadonlyMap<number, number>
  /** Of each key, the most calls that were here at once since `forget`. */
  readonly peaks: ReadonlyMap<number, number>
  forget(): void
  stop(): void
}

/** Long enough that calls of a key meet here. */
const WORK_MS = 10

export function startCountingUpstream(keyOf: (id: number) => number | undefined): CountingUpstream {
  const hits = new Map<number, number>()
  const here = new Map<number, number>()
  const peaks = new Map<number, number>()
  const add = (counts: Map<number, number>, of: number, n: number) => {
    counts.set(of, (counts.get(of) ?? 0) + n)
    return counts.get(of) ?? 0
  }
  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    idleTimeout: 0,
    async fetch(request) {
      const id = Number(/\/(\d+)\/chat\/completions$/.exec(new URL(request.url).pathname)?.[1])
      const key = keyOf(id) ?? -1
      add(hits, id, 1)
      peaks.set(key, Math.max(peaks.get(key) ?? 0, add(here, key, 1)))
      await request.text()
      await Bun.sleep(WORK_MS)
      add(here, key, -1)
      const usage = { prompt_tokens: 3, completion_tokens: 4, total_tokens: 7 }
      return Response.json({ id: `x${id}`, choices: [], usage })
    },
  })
  const host = `127.0.0.1:${server.port}`
  return {
    url: `http://${host}`,
    host,
    hits,
    peaks,
    forget: () => peaks.clear(),
    stop: () => void server.stop(true),
  }
}
