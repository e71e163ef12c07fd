/** An upstream with every habit, good and bad, by the path that is asked for. Listens on a free port of loopback. */

const PIECE_MS = 20
const BIG_BYTES = 1024 * 1024

export function startFaultyUpstream(): { readonly host: string; stop(): Promise<void> } {
  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    idleTimeout: 0,
    async fetch(request, listener) {
      const { pathname } = new URL(request.url)
      if (pathname.endsWith('/socket')) return socket(request, listener)
      await request.arrayBuffer()
      if (pathname.endsWith('/stream')) return events(5, false)
      if (pathname.endsWith('/cut')) return events(2, true)
      if (pathname.endsWith('/error')) return new Response('{"error":"broken"}', { status: 500 })
      if (pathname.endsWith('/slow')) await Bun.sleep(60_000)
      if (pathname.endsWith('/big')) return new Response(new Uint8Array(BIG_BYTES))
      return Response.json({ ok: true, usage: { prompt_tokens: 3, completion_tokens: 5 } })
    },
    // Or Bun would print what is cut off on purpose.
    error: () => new Response(null, { status: 500 }),
    websocket: {
      message: (peer, message) => void peer.send(message),
    },
  })
  return { host: `127.0.0.1:${server.port}`, stop: () => server.stop(true) }
}

function socket(request: Request, listener: Bun.Server<undefined>): Response | undefined {
  return listener.upgrade(request) ? undefined : new Response(null, { status: 426 })
}

function events(pieces: number, breaks: boolean): Response {
  const body = new ReadableStream({
    type: 'direct',
    async pull(controller) {
      for (let i = 0; i < pieces; i++) {
        controller.write(`data: {"piece":${i}}\n\n`)
        await controller.flush()
        await Bun.sleep(PIECE_MS)
      }
      if (breaks) controller.close(new Error('cut off'))
      else controller.close()
    },
  })
  return new Response(body, { headers: { 'content-type': 'text/event-stream' } })
}
