/**
 * The calls of a soak: every way in and every way to go wrong, at the shares that `MIX` says. What a client was told of the
 * cost of each is kept, so that the books can be compared with it.
 */

export type Holder = {
  readonly id: string
  readonly key: string
  /** Charged by calls whose answer told so. */
  charged: number
  /** Calls of which the client does not know whether they were charged. */
  unknown: number
}

export type Stage = {
  /** Of the proxy. */
  readonly url: string
  /** `host:port` of the upstream behind it. */
  readonly upstream: string
}

type Kind = (stage: Stage, holder: Holder) => Promise<void>

const ABORT_MS = 15
const SLOW_MS = 200
const BIG_BYTES = 256 * 1024

const kinds = {
  envelope: (stage, holder) => tell(holder, envelope(stage, holder, '/answer')),
  mount: (stage, holder) =>
    tell(holder, post(stage, holder, '/v1/answer', '{"model":"m","max_tokens":5}')),
  stream: (stage, holder) => tell(holder, post(stage, holder, '/v1/stream', '{"stream":true}')),
  big: (stage, holder) =>
    tell(holder, post(stage, holder, '/v1/big', JSON.stringify('x'.repeat(BIG_BYTES)))),
  error: (stage, holder) => tell(holder, envelope(stage, holder, '/error')),
  // Cut off within its body, when the head has told its cost already.
  cut: (stage, holder) => tell(holder, envelope(stage, holder, '/cut')),
  slow: (stage, holder) => tell(holder, envelope(stage, holder, '/slow', { timeout_ms: SLOW_MS })),
  left: (stage, holder) => {
    const signal = AbortSignal.timeout(ABORT_MS)
    return tell(holder, post(stage, holder, '/v1/stream', '{}', { signal }))
  },
  stranger: async (stage) => {
    await drain(post(stage, { key: 'trial_nobody' }, '/v1/answer', '{}'))
  },
  nonsense: async (stage, { key }) => {
    await drain(post(stage, { key }, '/proxy', '{"endpoint":'))
  },
  socket: (stage, holder) => socket(stage, holder),
} satisfies Record<string, Kind>

const MIX: readonly (readonly [keyof typeof kinds, number])[] = [
  ['envelope', 30], ['mount', 30], ['stream', 10], ['big', 3], ['error', 5], ['cut', 5], ['slow', 1], ['left', 5],
  ['stranger', 5], ['nonsense', 4], ['socket', 2],
] // biome-ignore format: a table

const TOTAL = MIX.reduce((sum, [, share]) => sum + share, 0)

/** Never rejects. Resolves with what kind of call it was, when it has ended. */
export async function callSomehow(stage: Stage, holder: Holder): Promise<string> {
  let at = Math.random() * TOTAL
  const [name] = MIX.find(([, share]) => {
    at -= share
    return at < 0
  }) ?? ['envelope']
  await kinds[name](stage, holder).catch(() => {})
  return name
}

function post(
  { url }: Stage,
  { key }: Pick<Holder, 'key'>,
  path: string,
  body: string,
  init: RequestInit = {},
): Promise<Response> {
  const headers = { 'x-api-key': key, 'content-type': 'application/json' }
  return fetch(url + path, { method: 'POST', headers, body, ...init })
}

function envelope(stage: Stage, holder: Holder, path: string, more: object = {}) {
  const endpoint = `http://${stage.upstream}${path}`
  return post(stage, holder, '/proxy', JSON.stringify({ endpoint, body: { a: 1 }, ...more }))
}

/** Remembers what the holder was told that the call has cost. */
async function tell(holder: Holder, call: Promise<Response>): Promise<void> {
  let told: string | null = null
  try {
    const response = await call
    told = response.headers.get('x-quota-cost')
    if (told === null && response.status < 500) told = '0'
    // The head of a stream tells the cost of an answer; what follows can only take it back.
    const whole = await response
      .arrayBuffer()
      .then(() => true)
      .catch(() => false)
    if (!whole) told = null
  } catch {
    // No head at all.
  }
  if (told === null) holder.unknown++
  else holder.charged += Number(told)
}

async function drain(call: Promise<Response>): Promise<void> {
  await (await call).arrayBuffer()
}

/** Its answer is 101, and tells no cost that a WebSocket of a browser's kind could read. */
async function socket({ url }: Stage, holder: Holder): Promise<void> {
  holder.unknown++
  const opened = new WebSocket(`${url.replace('http', 'ws')}/v1/socket`, {
    headers: { 'x-api-key': holder.key },
  })
  await new Promise<void>((resolve) => {
    opened.onopen = () => opened.send('hello')
    opened.onmessage = () => opened.close()
    opened.onclose = () => resolve()
    opened.onerror = () => resolve()
  })
}
