/** Work that is reported when its call is over: who may ask for it, and that it is charged once. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { callsOf, usedByLimit } from '../support/books.ts'
import { addUpstream } from '../support/named-upstream.ts'
import { issueKey, startServer, type TestServer } from '../support/server.ts'
import { settledLogs } from '../support/settled-logs.ts'

let server: TestServer
/** By method and path, what the upstream answers. */
const answers = new Map<string, unknown>()
const seen: string[] = []

const upstream = Bun.serve({
  hostname: '127.0.0.1',
  port: 0,
  fetch(request) {
    const name = `${request.method} ${new URL(request.url).pathname}`
    seen.push(name)
    const answer = answers.get(name) ?? {}
    if (typeof answer !== 'string') return Response.json(answer)
    return new Response(answer, { headers: { 'content-type': 'text/event-stream' } })
  },
})
afterAll(() => void upstream.stop(true))

beforeAll(async () => {
  server = await startServer()
  const base_url = `http://127.0.0.1:${upstream.port}`
  await addUpstream(server, { name: 'shut', base_url })
  const prices = [{ model: '*', input: 1_000_000, output: 2_000_000 }]
  await addUpstream(server, { name: 'open', base_url, deferred_work: true, prices })
})

let made = 0
/** What the upstream shows of a response of its own name, in the background or not. */
function response(background = true) {
  const id = `resp_${++made}`
  const shown = (status: string, usage: object | null = null) => ({
    ...{ id, object: 'response', status, background, model: 'o4-mini-deep-research', usage },
  })
  const done = shown('completed', {
    input_tokens: 60_000,
    output_tokens: 9_000,
    total_tokens: 69_000,
  })
  return { id, shown, done }
}

const WORK = {
  quota: null,
  limits: [{ name: 'work', unit: 'tokens', amount: 5_000, window: 'day' }],
}

async function call(key: string, method: string, path: string, body?: unknown, headers = {}) {
  const answer = await fetch(`${server.url}/u/${path}`, {
    method,
    headers: {
      'x-api-key': key,
      ...(body ? { 'content-type': 'application/json' } : {}),
      ...headers,
    },
    ...(body ? { body: typeof body === 'string' ? body : JSON.stringify(body) } : {}),
  })
  const text = await answer.text()
  const code = /"code": ?"(\w+)"/.exec(text)?.[1] ?? ''
  return { status: answer.status, code, text }
}

describe('a key with a limit in tokens or money', () => {
  const BACKGROUND = { model: 'm', input: 'x', background: true }
  test.each<[string, string, unknown]>([
    ['a background response', 'responses', BACKGROUND],
    ['one that is spelled otherwise', 'responses', '{"model":"m","b\\u0061ckground":true}'],
    ['one that is asked for twice', 'responses', '{"background":true,"background":false}'],
    ['one in capitals', 'responses', '{"model":"m","Background":true}'],
    ['one that is nearly true', 'responses', { model: 'm', background: 'yes' }],
    ['a batch', 'batches', { input_file_id: 'file_1', endpoint: '/v1/responses' }],
    ['a batch, with a slash at its end', 'batches/', { input_file_id: 'file_1' }],
    ['a batch, encoded', 'batche%73', { input_file_id: 'file_1' }],
    ['a batch of Anthropic', 'messages/batches', { requests: [] }],
    ['a batch of Gemini', 'models/gemini-3:batchGenerateContent', { batch: {} }],
    ['a run', 'threads/thread_1/runs', { assistant_id: 'asst_1' }],
    ['a thread with a run', 'threads/runs', { assistant_id: 'asst_1' }],
    ['a training', 'fine_tuning/jobs', { model: 'm', training_file: 'f' }],
  ])('may not ask for %s', async (_, path, body) => {
    const { key } = await issueKey(server, WORK)
    const before = seen.length
    const told = await call(key, 'POST', `shut/${path}`, body)
    expect(told).toMatchObject({ status: 403, code: 'deferred_work_not_allowed' })
    expect(told.text).toContain('without `background`')
    expect(seen).toHaveLength(before)
  })

  test('in money may not either, nor by a header of DashScope', async () => {
    const limits = [{ name: 'money', unit: 'cost', amount: 5_000, window: 'month' }]
    const { key } = await issueKey(server, { quota: null, limits })
    const one = await call(key, 'POST', 'shut/responses', BACKGROUND)
    expect(one.code).toBe('deferred_work_not_allowed')
    const headers = { 'x-dashscope-async': 'enable' }
    const other = await call(key, 'POST', 'shut/x', { model: 'm' }, headers)
    expect(other.code).toBe('deferred_work_not_allowed')
  })

  test.each<[string, string, unknown]>([
    ['a response at once', 'responses', { model: 'm', input: 'x', background: false }],
    ['one that speaks of a background', 'responses', { model: 'm', input: '"background":true' }],
    ['a run whose events report it', 'threads/t/runs', { assistant_id: 'a', stream: true }],
    ['an upload of a file for a batch', 'files', { purpose: 'batch' }],
  ])('may ask for %s', async (_, path, body) => {
    const { key } = await issueKey(server, WORK)
    expect((await call(key, 'POST', `shut/${path}`, body)).status).toBe(200)
  })

  test('is not asked for on an upstream that the operator has opened', async () => {
    const { key, id } = await issueKey(server, WORK)
    const one = response()
    answers.set('POST /responses', one.shown('queued'))
    expect((await call(key, 'POST', 'open/responses', BACKGROUND)).status).toBe(200)
    expect((await usedByLimit(server, id))['work']).toBe(0)
  })
})

describe('work that is reported later', () => {
  const limits = [
    { name: 'work', unit: 'tokens', amount: 1_000_000, window: 'day' },
    { name: 'money', unit: 'cost', amount: 1_000_000_000, window: 'month' },
  ]
  const rich = () => issueKey(server, { quota: null, limits })
  const show = (name: string, shown: unknown) => answers.set(`GET /${name}`, shown)

  test('is charged when its report is first seen, and never again, whoever reads it', async () => {
    const { key, id } = await rich()
    const other = await rich()
    const { id: name, shown, done } = response()
    answers.set('POST /responses', shown('queued'))
    await call(key, 'POST', 'open/responses', { model: 'm', background: true })
    show(`responses/${name}`, shown('in_progress'))
    await call(key, 'GET', `open/responses/${name}`)
    expect(await usedByLimit(server, id)).toMatchObject({ work: 0, money: 0 })
    show(`responses/${name}`, done)
    await call(key, 'GET', `open/responses/${name}`)
    expect(await usedByLimit(server, id)).toMatchObject({ work: 69_000, money: 78_000 })
    for (let n = 0; n < 3; n++) await call(key, 'GET', `open/responses/${name}`)
    await call(other.key, 'GET', `open/responses/${name}`)
    expect(await usedByLimit(server, id)).toMatchObject({ work: 69_000, money: 78_000 })
    expect(await usedByLimit(server, other.id)).toMatchObject({ work: 0, money: 0 })
    const entries = await callsOf(server, id)
    expect(entries.filter(({ tokens }) => tokens.charged > 0)).toHaveLength(1)
    expect(entries.some(({ estimated }) => estimated)).toBe(false)
    // The log says the same as the ledger.
    await settledLogs(server)
    const calls = server.events().filter(({ key_id, msg }) => key_id === id && msg === 'call')
    expect(calls.map(({ tokens }) => tokens)).toEqual([0, 0, 69_000, 0, 0, 0])
  })

  test('is charged once if many read it at the same time', async () => {
    const { key, id } = await rich()
    const { id: name, done } = response()
    show(`responses/${name}`, done)
    await Promise.all(Array.from({ length: 20 }, () => call(key, 'GET', `open/responses/${name}`)))
    expect(await usedByLimit(server, id)).toMatchObject({ work: 69_000, money: 78_000 })
  })

  test('is charged to whoever sees it, limits or not, open or not', async () => {
    const { key, id } = await issueKey(server, {
      limits: [{ name: 'work', unit: 'tokens', amount: null, window: 'day' }],
    })
    const { id: name, shown, done } = response()
    answers.set('POST /responses', shown('queued'))
    expect((await call(key, 'POST', 'shut/responses', { background: true })).status).toBe(200)
    show(`responses/${name}`, done)
    await call(key, 'GET', `shut/responses/${name}`)
    expect((await usedByLimit(server, id))['work']).toBe(69_000)
  })

  test('that was no such work costs nothing to read', async () => {
    const { key, id } = await rich()
    const { id: name, done } = response(false)
    show(`responses/${name}`, done)
    await call(key, 'GET', `open/responses/${name}`)
    expect((await usedByLimit(server, id))['work']).toBe(0)
  })

  test('in a stream is charged by its last event, there or when it is read again', async () => {
    const events = (one: ReturnType<typeof response>) =>
      [
        `event: response.created\ndata: ${JSON.stringify({ response: one.shown('queued') })}`,
        'data: {"type":"response.output_text.delta","delta":"x"}',
        `data: ${JSON.stringify({ type: 'response.completed', response: one.done })}`,
        '',
      ].join('\n\n')
    const first = await rich()
    const one = response()
    answers.set('POST /responses', events(one))
    await call(first.key, 'POST', 'open/responses', { background: true, stream: true })
    expect((await usedByLimit(server, first.id))['work']).toBe(69_000)
    show(`responses/${one.id}`, one.done)
    await call(first.key, 'GET', `open/responses/${one.id}`)
    expect((await usedByLimit(server, first.id))['work']).toBe(69_000)

    const second = await rich()
    const other = response()
    show(`responses/${other.id}`, events(other))
    for (let n = 0; n < 2; n++)
      await call(second.key, 'GET', `open/responses/${other.id}?stream=true`)
    expect((await usedByLimit(server, second.id))['work']).toBe(69_000)
  })

  test.each([
    ['batches', 'batch_1', { input_tokens: 700, output_tokens: 300 }],
    ['threads/thread_1/runs', 'run_1', { prompt_tokens: 700, completion_tokens: 300 }],
  ])('of %s is charged when it has ended', async (path, name, usage) => {
    const { key, id } = await rich()
    answers.set(`POST /${path}`, { id: name, status: 'queued', usage: null })
    await call(key, 'POST', `open/${path}`, { x: 1 })
    show(`${path}/${name}`, {
      id: name,
      status: 'in_progress',
      usage: { ...usage, input_tokens: 1 },
    })
    await call(key, 'GET', `open/${path}/${name}`)
    expect((await usedByLimit(server, id))['work']).toBe(0)
    show(`${path}/${name}`, { id: name, status: 'completed', usage })
    for (let n = 0; n < 2; n++) await call(key, 'GET', `open/${path}/${name}`)
    expect((await usedByLimit(server, id))['work']).toBe(1_000)
  })

  test('stays charged over the death of the server', async () => {
    const before = server
    const { key, id } = await rich()
    const { id: name, done } = response()
    show(`responses/${name}`, done)
    await call(key, 'GET', `open/responses/${name}`)
    await before.stop('SIGKILL')
    server = await startServer({}, before.dataDir)
    await call(key, 'GET', `open/responses/${name}`)
    expect((await usedByLimit(server, id))['work']).toBe(69_000)
  })
})
