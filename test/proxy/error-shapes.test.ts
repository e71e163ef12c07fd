/** Refusals in the words of the API that the client speaks, and what its SDK makes of them. */
import { beforeAll, describe, expect, test } from 'bun:test'
import Anthropic from '@anthropic-ai/sdk'
import { ApiError, GoogleGenAI } from '@google/genai'
import { CohereClientV2, CohereError } from 'cohere-ai'
import { Ollama } from 'ollama'
import OpenAI from 'openai'
import { usedOf } from '../support/books.ts'
import { addUpstream, CREDENTIAL } from '../support/named-upstream.ts'
import { issueKey, startServer, type TestServer } from '../support/server.ts'
import { startUpstream } from '../support/upstream.ts'

const upstream = startUpstream(() => Response.json({}))
const BODY = JSON.stringify({ model: 'm', max_tokens: 5, messages: [] })

let server: TestServer
/** With nothing left, for ever. */
let empty: string

beforeAll(async () => {
  server = await startServer()
  const credential = { secret: CREDENTIAL }
  for (const name of ['api', 'v1', 'v2', 'down'])
    await addUpstream(server, {
      ...{ name, mount: `/${name}`, credential },
      base_url: name === 'down' ? 'http://127.0.0.1:1/v1' : `${upstream.url}/v1`,
    })
  empty = (await issueKey(server, { quota: 0 })).key
})

type Said = {
  readonly status: number
  readonly headers: Headers
  readonly body: Record<string, unknown>
}

async function ask(
  path: string,
  headers: Record<string, string> = {},
  method = 'POST',
): Promise<Said> {
  const body = method === 'POST' ? BODY : null
  const sent = { 'content-type': 'application/json', 'x-api-key': empty, ...headers }
  const response = await fetch(server.url + path, { method, headers: sent, body })
  return {
    status: response.status,
    headers: response.headers,
    body: (await response.json()) as Said['body'],
  }
}

/** By the members that only one of them has. */
function apiOf({ body }: Said): string {
  const { error } = body as { error?: Record<string, unknown> | string }
  if (typeof error === 'string') return 'ollama'
  if (body['type'] === 'error') return 'anthropic'
  if (typeof body['message'] === 'string') return 'cohere'
  return typeof error?.['status'] === 'string' ? 'gemini' : 'openai'
}

const PLACES: Readonly<Record<string, readonly string[]>> = {
  openai: ['/api/v1/chat/completions', '/v1/responses', '/v1/embeddings', '/v1/completions', '/v1/images/generations',
    '/v1/audio/transcriptions', '/v1/threads/t/messages', '/u/api/openai/chat/completions', '/v1/anything', '/v1/chat/completions/',
    // What a name says is the operator's word.
    '/u/api/show', '/u/v2/classify/x'],
  anthropic: ['/api/v1/messages', '/v1/messages', '/u/api/v1/messages/count_tokens', '/v1/messages/batches', '/v1/complete',
    '/api/v1/projects/p/locations/l/publishers/anthropic/models/claude:streamRawPredict', '/v1/messages?beta=true'],
  gemini: ['/api/v1beta/models/gemini-2.5-pro:generateContent', '/u/api/models/x:streamGenerateContent?alt=sse',
    '/v1/models/text%3A1:embedContent', '/v1/models/x%3AcountTokens', '/v1/models/x:batchEmbedContents', '/api/v1beta/cachedContents',
    '/v1/projects/p/locations/l/publishers/google/models/imagen:predict', '/api/v1alpha/models'],
  ollama: ['/u/api/api/chat', '/v1/api/generate', '/v1/api/embed', '/v1/api/show'],
  cohere: ['/v2/chat', '/u/api/v1/rerank', '/api/v2/embed'],
} // biome-ignore format: a table

describe('the path says which API is spoken:', () => {
  for (const [api, paths] of Object.entries(PLACES))
    for (const path of paths)
      test(`${api} at ${path}`, async () => expect(apiOf(await ask(path))).toBe(api))

  test('else a header does', async () => {
    const about = (fields: Record<string, string>) => ask('/v1/models', fields, 'GET').then(apiOf)
    expect(await about({ 'anthropic-version': '2023-06-01' })).toBe('anthropic')
    expect(await about({ 'x-goog-api-client': 'google-genai-sdk/1' })).toBe('gemini')
    expect(await about({ 'x-fern-sdk-name': 'cohere-ai' })).toBe('cohere')
    expect(await about({})).toBe('openai')
  })

  test('what stands in the base URL or in the mount counts as well', async () => {
    await addUpstream(server, { name: 'llama', base_url: `${upstream.url}/api` })
    expect(apiOf(await ask('/u/llama/chat'))).toBe('ollama')
    await addUpstream(server, { name: 'local', base_url: upstream.url, mount: '/my/api' })
    expect([apiOf(await ask('/my/api/chat')), apiOf(await ask('/u/local/chat'))]).toEqual([
      'ollama',
      'openai',
    ])
  })

  test('an envelope is answered as ever, wherever it goes', async () => {
    const endpoint = `${upstream.url}/v1/models/x:generateContent`
    const response = await server.call(empty, { endpoint, headers: { 'anthropic-version': '1' } })
    const body = (await response.json()) as Said['body']
    expect(apiOf({ status: response.status, headers: response.headers, body })).toBe('openai')
  })
})

const ANTHROPIC = '/api/v1/messages'
const GEMINI = '/api/v1beta/models/x:generateContent'
const OLLAMA = '/v1/api/chat'
const COHERE = '/v2/chat'

describe('every refusal has the words of its API, and our code:', () => {
  const words = async (path: string, headers: Record<string, string> = {}, at = 'api') => {
    const said = await ask(path.replace('/api/', `/${at}/`), headers)
    expect(said.headers.get('x-quota-error')).toMatch(/^[a-z_]+$/)
    const { error } = said.body as { error: Record<string, unknown> }
    return [said.status, error['type'] ?? error['status'], said.headers.get('x-quota-error')]
  }

  test('no key, a wrong one, two', async () => {
    const none = { 'x-api-key': '' }
    const wrong = { 'x-api-key': 'trial_doesnotexist0000000000000000000' }
    expect(await words(ANTHROPIC, none)).toEqual([401, 'authentication_error', 'missing_api_key'])
    expect(await words(GEMINI, none)).toEqual([401, 'UNAUTHENTICATED', 'missing_api_key'])
    expect(await words(ANTHROPIC, wrong)).toEqual([401, 'authentication_error', 'invalid_api_key'])
    expect(await words(GEMINI, wrong)).toEqual([401, 'UNAUTHENTICATED', 'invalid_api_key'])
    const two = { authorization: `Bearer ${(await issueKey(server)).key}` }
    expect(await words(ANTHROPIC, two)).toEqual([400, 'invalid_request_error', 'ambiguous_api_key'])
    expect(await words(GEMINI, two)).toEqual([400, 'INVALID_ARGUMENT', 'ambiguous_api_key'])
  })

  test('what the key may not do', async () => {
    const narrow = { 'x-api-key': (await issueKey(server, { models: ['other'] })).key }
    expect(await words(ANTHROPIC, narrow)).toEqual([403, 'permission_error', 'model_not_allowed'])
    expect(await words(GEMINI, narrow)).toEqual([403, 'PERMISSION_DENIED', 'model_not_allowed'])
  })

  test('what is used up, and what may be waited for', async () => {
    expect(await words(ANTHROPIC)).toEqual([429, 'rate_limit_error', 'insufficient_quota'])
    expect(await words(GEMINI)).toEqual([429, 'RESOURCE_EXHAUSTED', 'insufficient_quota'])
    const used = { 'x-api-key': (await issueKey(server, { quota: 1, window: 'minute' })).key }
    await ask(GEMINI, used)
    const said = await ask(GEMINI, used)
    const { details } = said.body['error'] as { details: Record<string, unknown>[] }
    const wait = said.headers.get('retry-after')
    expect(details).toMatchObject([
      { reason: 'RATE_LIMIT_EXCEEDED', metadata: { code: 'rate_limit_exceeded', limit: '1' } },
      { '@type': 'type.googleapis.com/google.rpc.RetryInfo', retryDelay: `${wait}s` },
    ])
    expect(said.headers.get('x-should-retry')).toBe('true')
    const lifetime = (await ask(GEMINI)).body['error'] as { details: unknown[] }
    expect(lifetime.details).toHaveLength(1)
  })

  test('an upstream that is not there', async () => {
    const able = () => issueKey(server).then(({ key }) => ({ 'x-api-key': key }))
    expect(await words(ANTHROPIC, await able(), 'down')).toEqual([502, 'api_error', 'upstream_error'])
    expect(await words(GEMINI, await able(), 'down')).toEqual([502, 'UNAVAILABLE', 'upstream_error'])
  })

  test('in Ollama’s, Cohere’s and OpenAI’s', async () => {
    expect((await ask(OLLAMA)).body).toMatchObject({ error: expect.any(String), code: 'insufficient_quota', limit: 0 })
    const cohere = (await ask(COHERE)).body
    expect(cohere).toMatchObject({ message: expect.any(String), error: { code: 'insufficient_quota' } })
    expect((await ask('/v1/chat/completions')).body).toMatchObject({ error: { code: 'insufficient_quota', param: null } })
  })

  test('even if the request cannot be read', async () => {
    const response = await fetch(`${server.url}/v1/messages?${'a'.repeat(17_000)}`, { method: 'POST' })
    expect([response.status, await response.json()]).toMatchObject([
      414,
      { type: 'error', error: { type: 'invalid_request_error', code: 'uri_too_long' } },
    ])
  })
}) // biome-ignore format: lines of a table

describe('a call that misses every mount is a 404 in words that its client shows, names the mounts, and costs nothing:', () => {
  for (const [path, api] of [
    ['/chat/completions', 'openai'], ['/openai/v1/chat/completions', 'openai'], ['/responses', 'openai'], ['/models', 'openai'],
    ['/messages', 'anthropic'], ['/anthropic/v1/messages', 'anthropic'], ['/v1beta/models/x:generateContent', 'gemini'],
    ['/api2/api/chat', 'ollama'], ['/', 'openai'], ['/v1/v1/chat/completions', 'openai'], ['/v1/v1/messages', 'anthropic'],
    ['/v1//chat/completions', 'openai'], ['/v1//messages', 'anthropic'],
  ] as const) // biome-ignore format: a table
    test(path, async () => {
      const { key, id } = await issueKey(server)
      const said = await ask(path, { 'x-api-key': key })
      expect([said.status, apiOf(said), said.headers.get('x-quota-error')]).toEqual([
        404,
        api,
        'not_found',
      ])
      expect(JSON.stringify(said.body)).toMatch(/\/api, .*\/v1, /)
      expect(said.headers.get('x-request-id')).toMatch(/^req_/)
      expect(await usedOf(server, id)).toBe(0)
    })

  test('and says what stands twice', async () => {
    const { body } = await ask('/v1/v1/messages')
    expect(JSON.stringify(body)).toContain('This path has /v1 twice: leave one of them out')
    const slashes = await ask('/v1//messages')
    expect(JSON.stringify(slashes.body)).toContain('This path has two slashes after /v1: leave out')
  })

  test('and nothing else is taken for one', async () => {
    for (const path of ['/admin/models', '/me/models', '/favicon.png', '/swagger/messages']) {
      const answer = await fetch(server.url + path)
      expect([path, answer.status, answer.headers.get('x-quota-error')]).toEqual([
        path,
        404,
        path === '/me/models' ? 'not_found' : null,
      ])
    }
  })
})

describe('the SDK of each API knows a refusal for what it is:', () => {
  const failed = (asked: Promise<unknown>) => asked.then(() => null, (error: unknown) => error)

  test('Anthropic', async () => {
    const client = new Anthropic({ baseURL: `${server.url}/api`, apiKey: empty })
    const error = await failed(client.messages.create({ model: 'm', max_tokens: 5, messages: [] }))
    expect(error).toBeInstanceOf(Anthropic.RateLimitError)
    expect(error).toMatchObject({ type: 'rate_limit_error', requestID: expect.stringMatching(/^req_/) })
  })

  test('OpenAI, at the wrong mount', async () => {
    const client = new OpenAI({ baseURL: server.url, apiKey: empty })
    const error = await failed(client.chat.completions.create({ model: 'm', messages: [] }))
    expect(error).toBeInstanceOf(OpenAI.NotFoundError)
    expect(error).toMatchObject({ code: 'not_found', message: expect.stringContaining('/v1') })
  })

  test('Google', async () => {
    const client = new GoogleGenAI({ apiKey: empty, httpOptions: { baseUrl: `${server.url}/api` } })
    const error = await failed(client.models.generateContent({ model: 'x', contents: 'hi' }))
    expect(error).toBeInstanceOf(ApiError)
    expect(error).toMatchObject({ status: 429, message: expect.stringContaining('RESOURCE_EXHAUSTED') })
  })

  test('Cohere', async () => {
    const client = new CohereClientV2({ token: empty, environment: `${server.url}/api` })
    const asked = client.chat({ model: 'm', messages: [{ role: 'user', content: 'hi' }] }, { maxRetries: 0 })
    const error = await failed(asked)
    expect(error).toBeInstanceOf(CohereError)
    expect(error).toMatchObject({ statusCode: 429, body: { message: expect.stringContaining('Quota') } })
  })

  test('Ollama', async () => {
    const client = new Ollama({ host: `${server.url}/v1`, headers: { 'x-api-key': empty } })
    const error = await failed(client.chat({ model: 'm', messages: [] }))
    expect(error).toMatchObject({ status_code: 429, message: expect.stringContaining('Quota') })
  })
}) // biome-ignore format: lines of a table
