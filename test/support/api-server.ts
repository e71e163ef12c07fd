/**
 * An API on a socket of its own that only its operator may call: whoever comes without the credential gets a 401 that
 * gives itself away. The same question always gets the same answer.
 */
import { afterAll } from 'bun:test'

export type Asked = {
  readonly method: string
  readonly path: string
  readonly headers: Headers
  /** Empty unless the body is a JSON object. */
  readonly json: Readonly<Record<string, unknown>>
  /** Null unless the body is a form. */
  readonly form: FormData | null
}

export type ApiServer = {
  readonly url: string
  /** What was asked with the credential. */
  readonly asked: Asked[]
  /** The instants at which a reader has left before the end of an answer, ms. */
  readonly left: number[]
}

export type Route = (asked: Asked) => Response | Promise<Response>

export type ApiOptions = {
  /** By method and path, such as `GET /v1/models`. */
  readonly routes: Readonly<Record<string, Route>>
  readonly isOperator: (headers: Headers) => boolean
  /** The body of an error, as the API writes them. */
  readonly error: (status: number, message: string) => unknown
}

/** No holder may ever read this. */
export const TELL_TALE = 'Incorrect API key provided: sk-whose-is-it.'

const servers = new Set<{ stop(force?: boolean): unknown }>()

afterAll(() => {
  for (const server of servers) server.stop(true)
  servers.clear()
})

export function startApi({ routes, isOperator, error }: ApiOptions): ApiServer {
  const asked: Asked[] = []
  const left: number[] = []
  const refuse = (status: number, message: string) =>
    Response.json(error(status, message), { status })
  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    idleTimeout: 0,
    async fetch(request) {
      const { method, headers } = request
      if (!isOperator(headers)) return refuse(401, TELL_TALE)
      const path = new URL(request.url).pathname
      const one = { method, path, headers, ...(await readBody(request)) }
      asked.push(one)
      request.signal.addEventListener('abort', () => left.push(performance.now()))
      const route = routes[`${method} ${path}`]
      return route ? route(one) : refuse(404, `There is no ${path} here.`)
    },
  })
  servers.add(server)
  return { url: `http://127.0.0.1:${server.port}`, asked, left }
}

async function readBody(request: Request): Promise<Pick<Asked, 'json' | 'form'>> {
  const type = request.headers.get('content-type') ?? ''
  if (type.startsWith('multipart/form-data'))
    return { json: {}, form: (await request.formData()) as FormData }
  const text = await request.text()
  const json = type.startsWith('application/json') && text !== '' ? JSON.parse(text) : {}
  return { json, form: null }
}

/** Sizes of the pieces that a stream is sent in, in turn: most end inside an event, many inside a character. */
const PIECES = [1, 7, 64, 300, 3]

/** Server-sent events; with `stalls` the second half never comes. */
export function eventStream(events: readonly string[], stalls = false): Response {
  const bytes = Buffer.from(events.join(''))
  const end = stalls ? bytes.length / 2 : bytes.length
  let at = 0
  let n = 0
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      if (at >= end) {
        if (stalls) await new Promise(() => {})
        return controller.close()
      }
      const size = PIECES[n++ % PIECES.length] ?? 1
      controller.enqueue(bytes.subarray(at, Math.min(at + size, end)))
      at += size
      // A turn of its own, so that the pieces are not sent as one.
      await Bun.sleep(0)
    },
  })
  return new Response(body, { headers: { 'content-type': 'text/event-stream; charset=utf-8' } })
}
