/**
 * One client: a kept-alive connection, on which it makes one call at a time and writes down what it
 * saw. It never sends a call again: whether the first one was charged is the question.
 */
import { connect, type Socket } from 'node:net'
import type { Life, Target } from './child.ts'
import type { Answer, CallRecord, Journal, TestedKey } from './evidence.ts'
import { actOf } from './plan.ts'
import type { Act } from './upstream.ts'
import { type Message, readMessage } from './wire.ts'

export type Client = ReturnType<typeof createClient>

/** A little longer than the upstream's delay, on which a reserved unit waits. */
const RESERVED_WAIT_MS = 20
/** Ten seconds of waiting; of one server, a unit that is reserved for longer will never come back. */
const RESERVED_TRIES_MAX = 500
/** A client stays with a server of several for so many calls, as one behind a balancer does. */
const STAY_CALLS = 8
/** A database that is away does not come back sooner if it is asked all the time. */
const AWAY_WAIT_MS = 100
/**
 * Wide enough for a machine under load; past it the server is stuck, and the call counts as
 * unexplained.
 */
const ANSWER_MS_MAX = 30_000

export type ClientOptions = {
  readonly target: Target
  readonly journal: Journal
  readonly upstreamHost: string
  /** Where it begins among several servers. */
  readonly place: number
  /** How often a call is made again whose quota is only reserved. */
  readonly reservedTriesMax?: number
}

export function createClient(options: ClientOptions) {
  const { target, journal, upstreamHost, place, reservedTriesMax = RESERVED_TRIES_MAX } = options
  let connection: Connection | null = null
  let sent = 0

  /** The connection to the present life of the server. */
  async function connected(): Promise<Connection> {
    for (;;) {
      const life = await target.live(place + Math.floor(sent / STAY_CALLS))
      if (connection?.isOpen() && connection.life === life.number) return connection
      connection?.close()
      connection = await openConnection(life)
      // Refused: the life has just ended, and nothing was sent.
      if (!connection) await Bun.sleep(1)
    }
  }

  async function send(key: TestedKey, act: Act): Promise<CallRecord> {
    const open = await connected()
    sent++
    const call = journal.begin(key, open.life, act === 'cut')
    const endpoint = `http://${upstreamHost}/${act}/${call.id}`
    const body = `{"endpoint":"${endpoint}","method":"POST","body":{}}`
    const message = await open.exchange(
      `POST /proxy HTTP/1.1\r\nHost: 127.0.0.1\r\nX-API-Key: ${key.secret}\r\n` +
        `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    )
    return journal.end(call, message && readAnswer(message))
  }

  return {
    /** Makes the key's next call, again while the rest of its quota is only reserved. */
    async call(key: TestedKey): Promise<CallRecord> {
      const act = actOf(key.steady, key.calls++)
      for (let tries = 1; ; tries++) {
        const call = await send(key, act)
        if (call.answer?.code === 'storage_unavailable') await Bun.sleep(AWAY_WAIT_MS)
        if (call.answer?.code !== 'quota_reserved' || tries >= reservedTriesMax) return call
        await Bun.sleep(RESERVED_WAIT_MS)
      }
    },
    close: () => connection?.close(),
  }
}

function readAnswer({ start, header, body, length }: Message): Answer {
  const number = (name: string) => {
    const text = header(name)
    return text === null ? null : Number(text)
  }
  const limit = number('x-quota-limit')
  const remaining = number('x-quota-remaining')
  const charge = /^call_(\d+)$/.exec(header('x-quota-charge-id') ?? '')?.[1]
  return {
    status: Number(start.split(' ')[1]),
    whole: length !== null,
    charge: charge === undefined ? null : Number(charge),
    cost: number('x-quota-cost') ?? 0,
    used: limit === null || remaining === null ? null : limit - remaining,
    code: charge === undefined ? (/"code":"(\w+)"/.exec(body)?.[1] ?? null) : null,
  }
}

type Connection = {
  /** Number of the life it leads to. */
  readonly life: number
  isOpen(): boolean
  /** The answer, or as much of it as came; null if not even its head did. */
  exchange(request: string): Promise<Message | null>
  close(): void
}

/** Null if nobody listens any more. */
async function openConnection({ number, port }: Life): Promise<Connection | null> {
  const socket: Socket = connect(port, '127.0.0.1')
  let text = ''
  let open = false
  let answered: ((message: Message | null) => void) | null = null
  const answer = (message: Message | null) => {
    answered?.(message)
    answered = null
    text = ''
  }
  socket.on('data', (data) => {
    text += data.toString('latin1')
    const message = readMessage(text)
    if (message && message.length !== null) answer(message)
  })
  // Its 'close' follows.
  socket.on('error', () => {})
  socket.setTimeout(ANSWER_MS_MAX, () => socket.destroy())
  const opened = await new Promise<boolean>((resolve) => {
    socket.once('connect', () => resolve(true))
    socket.on('close', () => {
      open = false
      answer(readMessage(text))
      resolve(false)
    })
  })
  if (!opened) return null
  open = true
  return {
    life: number,
    isOpen: () => open,
    exchange(request) {
      if (!open) return Promise.resolve(null)
      return new Promise((resolve) => {
        answered = resolve
        socket.write(request, 'latin1')
      })
    },
    close: () => void socket.destroy(),
  }
}
