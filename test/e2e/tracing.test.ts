/** Traces: what a collector is sent of a call, that a trace goes through the proxy, and what is never in one. */
import { expect, test } from 'bun:test'
import { type Collector, type Span, startCollector } from '../support/collector.ts'
import { addUpstream, CREDENTIAL, type Fixture, startFixture } from '../support/named-upstream.ts'
import { COMMAND, issueKey, startServer, temporaryDirectory } from '../support/server.ts'
import { addSocketUpstream, joinSocket, startSocketUpstream } from '../support/sockets.ts'
import { startUpstream } from '../support/upstream.ts'

const TRACE = '0af7651916cd43dd8448eb211c80319c'
const PARENT = 'b7ad6b7169203331'
const TRACEPARENT = `00-${TRACE}-${PARENT}-01`

/** OpenTelemetry's numbers. */
const SERVER = 2
const CLIENT = 3
const ERROR = 2

type Traced = Fixture & { readonly collector: Collector }

async function startTraced(
  env: Record<string, string> = {},
  answer?: Parameters<typeof startFixture>[1],
): Promise<Traced> {
  const collector = startCollector()
  const on = { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url }
  const fixture = await startFixture({}, answer, { ...on, ...env })
  return { ...fixture, collector }
}

/** What the collector has when the server has ended: a stop sends everything that is left. */
async function spansOf({ server, collector }: Traced): Promise<Span[]> {
  expect(await server.stop()).toBe(0)
  return collector.spans
}

function only(spans: readonly Span[], kind: number): Span {
  const [span, ...more] = spans.filter((one) => one.kind === kind)
  if (!span || more.length > 0) throw new Error(`not one span of kind ${kind}`)
  return span
}

for (const protocol of ['http/protobuf', 'http/json']) {
  test(`a call is a span, its request another, in the trace of its client, by ${protocol}`, async () => {
    const traced = await startTraced({ OTEL_EXPORTER_OTLP_PROTOCOL: protocol })
    const { key } = await traced.issue()
    const headers = { traceparent: TRACEPARENT, tracestate: 'vendor=1' }
    await (await traced.pass(key, '/v1/chat', { method: 'POST', body: 'hello', headers })).text()
    const spans = await spansOf(traced)
    expect(spans).toHaveLength(2)
    const call = only(spans, SERVER)
    const sent = only(spans, CLIENT)

    expect([call.traceId, call.parentSpanId]).toEqual([TRACE, PARENT])
    expect([sent.traceId, sent.parentSpanId]).toEqual([TRACE, call.spanId])
    const reached = traced.upstream.seen[0]?.headers
    expect(reached?.get('traceparent')).toBe(`00-${TRACE}-${sent.spanId}-01`)
    expect(reached?.get('tracestate')).toBe('vendor=1')

    expect([call.name, sent.name]).toEqual(['POST /v1', 'POST'])
    expect(call.attributes).toEqual({
      'http.request.method': 'POST',
      'http.route': '/v1',
      'url.scheme': 'http',
      'http.response.status_code': 200,
      'quota_proxy.request_id': expect.stringMatching(/^req_/),
      'quota_proxy.upstream': 'api',
      'quota_proxy.outcome': 'answered',
      'quota_proxy.charged.requests': 1,
      'quota_proxy.charged.tokens': expect.any(Number),
      'quota_proxy.charged.cost': 0,
    })
    expect(sent.attributes).toEqual({
      'http.request.method': 'POST',
      'server.address': '127.0.0.1',
      'server.port': Number(new URL(traced.upstream.url).port),
      'http.response.status_code': 200,
    })
    expect(call.resource).toMatchObject({ 'service.name': 'quota-proxy' })
    expect([call.status, sent.status]).toEqual([0, 0])
    expect(sent.startNs >= call.startNs && call.endNs > call.startNs).toBe(true)
  })
}

test('each way in has a name of its own, and a call without a trace begins one', async () => {
  const traced = await startTraced()
  const { key } = await traced.issue()
  const endpoint = `${traced.upstream.url}/base/x`
  await (await traced.server.call(key, { endpoint })).text()
  await (await traced.pass(key, '/u/api/secret-path?q=secret-query')).text()
  await (await traced.pass(key, '/v1/x', { headers: { traceparent: 'nonsense' } })).text()
  const calls = (await spansOf(traced)).filter(({ kind }) => kind === SERVER)
  expect(calls.map(({ name }) => name)).toEqual(['POST /proxy', 'GET /u/{upstream}', 'GET /v1'])
  expect(calls.map(({ parentSpanId }) => parentSpanId)).toEqual(['', '', ''])
  expect(new Set(calls.map(({ traceId }) => traceId)).size).toBe(3)
  const reached = traced.upstream.seen.map(({ headers }) => headers.get('traceparent'))
  expect(reached.map((parent) => parent?.split('-')[1])).toEqual(
    calls.map(({ traceId }) => traceId),
  )
})

test('a refused call has no request; a failed one is an error at both ends', async () => {
  const traced = await startTraced({}, () => new Response('down', { status: 503 }))
  await addUpstream(traced.server, { name: 'gone', base_url: 'http://127.0.0.1:1' })
  const { key } = await traced.issue({ quota: 2 })
  for (const path of ['/u/nobody/x', '/v1/x', '/u/gone/x'])
    await (await traced.pass(key, path)).text()
  await (await traced.pass('trial_nobody', '/v1/x')).text()
  const spans = await spansOf(traced)
  const seen = spans.map(({ kind, status, attributes }) => [
    kind === SERVER ? 'call' : 'request',
    status === ERROR ? attributes['error.type'] : 'well',
    attributes['quota_proxy.code'] ?? attributes['http.response.status_code'] ?? null,
  ])
  expect(seen.toSorted()).toEqual([
    ['call', '503', 503],
    ['call', 'upstream_error', 'upstream_error'],
    ['call', 'well', 'invalid_api_key'],
    ['call', 'well', 'upstream_not_found'],
    ['request', '503', 503],
    ['request', 'upstream_error', null],
  ])
})

test('an answer that its client does not wait for ends its spans', async () => {
  const traced = await startTraced({}, () => {
    const body = new ReadableStream({
      start: (controller) => controller.enqueue(new TextEncoder().encode('first')),
    })
    return new Response(body)
  })
  const { key } = await traced.issue()
  const leaving = new AbortController()
  const response = await traced.pass(key, '/v1/x', { signal: leaving.signal })
  await response.body?.getReader().read()
  leaving.abort()
  const spans = await spansOf(traced)
  expect(only(spans, SERVER).attributes['quota_proxy.outcome']).toBe('client_aborted')
  expect(only(spans, CLIENT).attributes['error.type']).toBe('client_aborted')
})

test('a WebSocket is one call, for as long as it lives', async () => {
  const collector = startCollector()
  const upstream = startSocketUpstream()
  const server = await startServer({ OTEL_EXPORTER_OTLP_ENDPOINT: collector.url })
  await addSocketUpstream(server, 'echo', { base_url: upstream.url, mount: '/v1' })
  const { client } = await joinSocket(server, upstream, '/v1/x')
  await Bun.sleep(100)
  client.socket.close(1000)
  await client.closed
  expect(await server.stop()).toBe(0)
  const call = only(collector.spans, SERVER)
  const sent = only(collector.spans, CLIENT)
  expect(call.attributes).toMatchObject({ 'http.response.status_code': 101 })
  expect(call.endNs - call.startNs > 100_000_000n).toBe(true)
  const reached = upstream.connections[0]?.headers.get('traceparent')
  expect(reached).toBe(`00-${call.traceId}-${sent.spanId}-01`)
})

test('no key, credential, path, query or body is in a trace, whatever a client sends', async () => {
  const traced = await startTraced()
  const { key } = await traced.issue()
  const canary = 'canary0123456789'
  const headers = {
    traceparent: TRACEPARENT,
    tracestate: `a=${key},b=${canary}`,
    baggage: `k=${key}`,
    'x-other': canary,
    'user-agent': canary,
  }
  const body = JSON.stringify({ model: canary, messages: [canary] })
  await (
    await traced.pass(key, `/v1/${canary}?q=${canary}`, { method: 'POST', headers, body })
  ).text()
  await (await traced.pass(`trial_${canary}`, `/v1/${canary}`, { headers })).text()
  const endpoint = `${traced.upstream.url}/base/${canary}?q=${canary}`
  await (await traced.server.call(key, { endpoint, headers: { authorization: canary } })).text()
  expect(await spansOf(traced)).toHaveLength(5)
  expect(traced.upstream.seen[0]?.headers.get('tracestate')).toBeNull()
  const text = traced.collector.bodies.join()
  expect(text).toContain('quota_proxy.outcome')
  for (const secret of [key, CREDENTIAL, traced.server.adminToken, canary])
    expect(text).not.toContain(secret)
})

for (const env of [{}, { OTEL_SDK_DISABLED: 'true' }, { OTEL_TRACES_EXPORTER: 'none' }] as Record<
  string,
  string
>[]) {
  const names = Object.keys(env)
  test(`${names.join() || 'without an endpoint'}: nothing is sent, and the client’s own trace passes as it came`, async () => {
    const collector = startCollector()
    const endpoint = names.length > 0 ? { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url } : {}
    const fixture = await startFixture({}, undefined, { ...endpoint, ...env })
    const { key } = await fixture.issue()
    const headers = { traceparent: TRACEPARENT, tracestate: 'vendor=1', baggage: 'a=b' }
    await (await fixture.pass(key, '/v1/x', { headers })).text()
    const target = `${fixture.upstream.url}/base/x`
    await (await fixture.server.call(key, { endpoint: target, headers })).text()
    expect(await fixture.server.stop()).toBe(0)
    for (const { headers: reached } of fixture.upstream.seen)
      expect(reached.toJSON()).toMatchObject(headers)
    expect(fixture.upstream.seen).toHaveLength(2)
    expect(collector.requests).toEqual([])
  })
}

test('what is not sampled is not sent, and the upstream is told so', async () => {
  const traced = await startTraced({
    OTEL_TRACES_SAMPLER: 'traceidratio',
    OTEL_TRACES_SAMPLER_ARG: '0',
  })
  const { key } = await traced.issue()
  await (await traced.pass(key, '/v1/x', { headers: { traceparent: TRACEPARENT } })).text()
  expect(await spansOf(traced)).toEqual([])
  const reached = traced.upstream.seen[0]?.headers.get('traceparent') ?? ''
  expect(reached).toMatch(new RegExp(`^00-${TRACE}-[0-9a-f]{16}-00$`))
})

test('a client that does not want to be traced is not, unless the sampler says so', async () => {
  const unwanted = `00-${TRACE}-${PARENT}-00`
  for (const [sampler, count] of [
    ['parentbased_always_on', 0],
    ['always_on', 2],
  ] as const) {
    const traced = await startTraced({ OTEL_TRACES_SAMPLER: sampler })
    const { key } = await traced.issue()
    await (await traced.pass(key, '/v1/x', { headers: { traceparent: unwanted } })).text()
    expect(await spansOf(traced)).toHaveLength(count)
  }
})

test('the standard variables name the service, its attributes, and what the collector wants to see', async () => {
  const collector = startCollector()
  const server = await startServer({
    OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: `${collector.url}/own/path`,
    OTEL_EXPORTER_OTLP_HEADERS: 'authorization=Basic%20abc',
    OTEL_SERVICE_NAME: 'gate',
    OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=test',
    OTEL_BSP_SCHEDULE_DELAY: '20',
  })
  const { key } = await issueKey(server)
  await (await server.call(key, { endpoint: 'http://127.0.0.1:1/' })).text()
  while (collector.spans.length === 0) await Bun.sleep(10)
  expect(collector.spans[0]?.resource).toMatchObject({
    'service.name': 'gate',
    'deployment.environment.name': 'test',
  })
  expect(collector.requests[0]?.path).toBe('/own/path')
  expect(collector.requests[0]?.headers.get('authorization')).toBe('Basic abc')
})

test('a collector that refuses everything is named once in the log, and no call feels it', async () => {
  const collector = startCollector(400)
  const fixture = await startFixture({}, undefined, {
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
    OTEL_BSP_SCHEDULE_DELAY: '5',
  })
  const { key } = await fixture.issue()
  while (collector.requests.length < 3) expect((await fixture.pass(key, '/v1/x')).status).toBe(200)
  expect(await fixture.server.stop()).toBe(0)
  const said = fixture.server.events().filter(({ msg }) => String(msg).includes('traces'))
  expect(said.map(({ level }) => level)).toEqual(['warn'])
})

test('a collector that never answers does not keep the server from stopping', async () => {
  const silent = startUpstream(() => new Promise<Response>(() => {}))
  const fixture = await startFixture({}, undefined, {
    OTEL_EXPORTER_OTLP_ENDPOINT: silent.url,
    // Longer than a test may take.
    OTEL_EXPORTER_OTLP_TIMEOUT: '60000',
  })
  const { key } = await fixture.issue()
  expect((await fixture.pass(key, '/v1/x')).status).toBe(200)
  expect(await fixture.server.stop()).toBe(0)
  expect(silent.seen).toHaveLength(1)
})

test('a value that cannot be meant stops the start, by name and without the value', async () => {
  for (const [name, value] of [
    ['OTEL_EXPORTER_OTLP_PROTOCOL', 'grpc'],
    ['OTEL_EXPORTER_OTLP_ENDPOINT', 'collector:4317'],
    ['OTEL_TRACES_SAMPLER', 'sometimes'],
    ['OTEL_TRACES_SAMPLER_ARG', '1.5'],
    ['OTEL_TRACES_EXPORTER', 'zipkin'],
  ] as const) {
    const child = Bun.spawn([...COMMAND, 'serve'], {
      env: {
        DATA_DIR: temporaryDirectory(),
        PORT: '0',
        OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:1',
        [name]: value,
      },
      stdout: 'ignore',
      stderr: 'pipe',
      // One that starts after all must not outlive the test.
      timeout: 4_000,
    })
    const said = await new Response(child.stderr).text()
    expect([name, await child.exited]).toEqual([name, 2])
    expect(said).toContain(name)
    expect(said.replaceAll(name, '')).not.toContain(value)
  }
})
