/** What is true of every answer, whatever the route and the status. */
import { expect, test } from 'bun:test'
import { settled } from '../support/books.ts'
import { issueKey, startServer } from '../support/server.ts'
import { settledLogs } from '../support/settled-logs.ts'
import { startUpstream } from '../support/upstream.ts'

const upstream = startUpstream()
const server = await startServer({ PROXY_EGRESS_ALLOW: upstream.host })
const { adminToken } = server
const REQUEST_ID = /^req_[\w-]{16,}$/
const { paths } = (await (await fetch(`${server.url}/swagger/json`)).json()) as {
  paths: Record<string, object>
}
const ROUTES = Object.entries(paths).flatMap(([path, operations]) =>
  Object.keys(operations).map((method) => ({ method: method.toUpperCase(), path })),
)

function send(method: string, path: string, headers: Record<string, string> = {}) {
  return fetch(server.url + path, { method, headers })
}

test('every answer carries a request id of its own, which its problem and its log line name', async () => {
  const { key, id } = await issueKey(server)
  const operator = { authorization: `Bearer ${adminToken}` }
  const answers = [
    await send('GET', '/healthz'),
    await send('HEAD', '/healthz'),
    await send('GET', '/readyz'),
    await send('GET', '/nope'),
    await send('GET', '/'),
    await send('OPTIONS', '/admin/keys'),
    await send('GET', '/admin/keys'),
    await send('GET', '/admin/keys', operator),
    await send('GET', `/admin/keys/${id}`, operator),
    await send('GET', '/admin/keys/no-such-key-here', operator),
    await send('GET', '/admin/keys?limit=x', operator),
    await send('DELETE', `/admin/keys/${(await issueKey(server)).id}`, operator),
    await send('GET', '/admin/usage', operator),
    await send('GET', '/swagger'),
    await send('GET', '/swagger/json'),
    await send('GET', '/proxy'),
    await send('POST', '/proxy'),
    await send('POST', '/proxy', { 'x-api-key': key }),
    await server.call(key, { endpoint: upstream.url }),
    await server.call(key, { endpoint: 'http://127.0.0.1:1' }),
  ]
  const ids = answers.map(({ headers }) => headers.get('x-request-id') ?? '')
  for (const [i, answer] of answers.entries()) {
    expect(ids[i]).toMatch(REQUEST_ID)
    expect(answer.headers.get('x-content-type-options')).toBe('nosniff')
    const text = await answer.text()
    if (answer.status < 400 || text === '') continue
    const body = JSON.parse(text)
    expect(body.request_id ?? body.error.request_id).toBe(ids[i])
  }
  expect(new Set(ids).size).toBe(ids.length)
  await settled(server)
  await settledLogs(server)
  const logged = new Set(server.events().map((event) => event['request_id']))
  // Probes are logged at a lower level.
  expect(ids.slice(3).filter((one) => !logged.has(one))).toEqual([])
})

test('a request id sent by the caller is not taken over', async () => {
  const sent = 'req_AAAAAAAAAAAAAAAA'
  const answer = await send('GET', '/healthz', { 'x-request-id': sent })
  expect(answer.headers.get('x-request-id')).not.toBe(sent)
})

test('no answer of the admin API may be stored by a cache', async () => {
  const { key } = await issueKey(server)
  for (const { method, path } of ROUTES.filter((route) => route.path.startsWith('/admin'))) {
    for (const authorization of [`Bearer ${adminToken}`, '']) {
      const answer = await send(method, path.replace(/\{\w+\}/, key), { authorization })
      const { status } = answer
      const caching = answer.headers.get('cache-control')
      expect({ method, path, status, caching }).toMatchObject({ caching: 'no-store' })
    }
  }
})

test('a refusal of the admin API is a problem with a code, a title and a sentence', async () => {
  const answer = await send('GET', '/admin/keys')
  expect(answer.headers.get('content-type')).toStartWith('application/problem+json')
  expect(await answer.json()).toEqual({
    type: 'urn:quota-proxy:error:missing_admin_token',
    title: 'The admin token is required',
    status: 401,
    detail: 'Send the admin token as "Authorization: Bearer <token>".',
    code: 'missing_admin_token',
    request_id: answer.headers.get('x-request-id'),
  })
})

test('a path where nothing is, is a 404, whoever asks', async () => {
  const paths = ['/admin', '/admin/', '/admin/nope', '/admin/keys/a/b/c', '/admin/keys/a/nope']
  for (const path of [...paths, '/proxy/x', '/PROXY', '/Admin/keys', '/.env', '/swagger/nope']) {
    for (const authorization of [`Bearer ${adminToken}`, '']) {
      const answer = await send('GET', path, { authorization })
      expect({ path, status: answer.status }).toEqual({ path, status: 404 })
      expect(await answer.json()).toMatchObject({ code: 'not_found' })
    }
  }
})

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']

test('every documented path answers the methods that it does not have with 405 and those it has', async () => {
  // What passes through to an upstream may have any method.
  for (const path of Object.keys(paths).filter((one) => !one.startsWith('/u/'))) {
    const own = ROUTES.filter((route) => route.path === path).map(({ method }) => method)
    const allowed = [...own, ...(own.includes('GET') ? ['HEAD'] : [])].sort()
    for (const method of METHODS.filter((candidate) => !allowed.includes(candidate))) {
      const answer = await send(method, path.replace(/\{\w+\}/, 'any-key-of-any-kind'))
      const { status } = answer
      const allow = answer.headers.get('allow')?.split(', ').sort()
      expect({ method, path, status, allow }).toEqual({ method, path, status: 405, allow: allowed })
      const text = await answer.text()
      if (method === 'HEAD') continue
      const body = JSON.parse(text)
      // Key holders are told in the shape that their clients parse.
      if (/^\/(proxy|me)(\/|$)/.test(path))
        expect(body.error).toMatchObject({
          code: 'method_not_allowed',
          type: 'invalid_request_error',
        })
      else expect(body).toMatchObject({ code: 'method_not_allowed', status: 405 })
    }
  }
})

test('a query parameter that a route of the admin API does not know, or knows once, is refused', async () => {
  const { key } = await issueKey(server)
  const authorization = `Bearer ${adminToken}`
  for (const { method, path } of ROUTES.filter((route) => route.path.startsWith('/admin'))) {
    for (const query of ['nonsense=canary', '__proto__=canary', 'limit=5&limit=6', 'a=1&a=1']) {
      const target = `${path.replace(/\{\w+\}/, key)}?${query}`
      const answer = await send(method, target, { authorization })
      const text = await answer.text()
      const { status } = answer
      expect({ method, path, query, status }).toEqual({ method, path, query, status: 422 })
      expect(JSON.parse(text)).toMatchObject({ code: 'validation_failed', errors: [{}] })
      expect(text).not.toContain('canary')
    }
  }
  expect((await server.admin('GET', `/admin/keys/${key}`)).status).toBe(200)
})

test('a key is shown by the answer that issues it and by no other; its hash by none', async () => {
  const { key, id } = await issueKey(server, { name: 'secret', quota: 5 })
  const hash = new Bun.CryptoHasher('sha256').update(key).digest()
  const secrets = [key, key.slice(6), hash.toString('hex'), hash.toString('base64')]
  await server.call(key, { endpoint: upstream.url })
  const answers = [
    await server.admin('GET', `/admin/keys/${key}`),
    await server.admin('GET', '/admin/keys?limit=100'),
    await server.admin('GET', `/admin/usage?key=${key}`),
    await server.admin('PATCH', `/admin/keys/${key}`, { name: 'still secret' }),
    await server.admin('PATCH', `/admin/keys/${key}`, { quota: -1 }),
    await server.admin('POST', `/admin/keys/${key}/reset`),
    await server.admin('POST', '/admin/keys', { name: 'again', quota: 1, key }),
    await server.admin('PUT', `/admin/keys/${key}`),
    await server.admin('DELETE', `/admin/keys/${key}`),
    await server.admin('GET', `/admin/keys/${key}`),
  ]
  for (const answer of answers) {
    const text = `${JSON.stringify([...answer.headers])}${await answer.text()}`
    for (const secret of [...secrets, adminToken]) expect(text).not.toContain(secret)
  }
  const logs = await settledLogs(server)
  expect([...secrets, adminToken].filter((secret) => logs.includes(secret))).toEqual([])
  expect(logs).toContain('"path":"/admin/keys/(hidden)"')
  expect(server.events().some((event) => event['key_id'] === id)).toBe(true)
})

test('no log line holds a key or the admin token, wherever on the way they are put', async () => {
  const keys = ['an-old-key-of-lower-case', 'old/key/with/slashes/x', 'Old_Key-0123456789?&=%20']
  for (const key of keys) await issueKey(server, { key })
  for (const secret of [...keys, (await issueKey(server)).key, adminToken]) {
    const encoded = encodeURIComponent(secret)
    const places = ROUTES.map(({ path }) => path.replace(/\{\w+\}/, encoded))
    const others = [`/${encoded}`, `/${secret}`, `/admin/${encoded}`, `/admin/keys/${secret}`]
    const deep = [`/admin/keys/x/${encoded}`, `/swagger/${encoded}`, `/proxy/${encoded}`]
    for (const path of new Set([...places, ...others, ...deep])) {
      for (const method of ['GET', 'POST', 'PUT', 'PATCH']) {
        const answer = await fetch(`${server.url}${path}?key=${encoded}&token=${encoded}`, {
          method,
          headers: {
            authorization: `Bearer ${adminToken}`,
            'x-api-key': secret,
            'user-agent': secret,
            referer: `http://x/${encoded}`,
            'content-type': 'application/json',
          },
          ...(method !== 'GET' && { body: JSON.stringify({ name: secret, [secret]: secret }) }),
        })
        await answer.text()
      }
    }
    const logs = await settledLogs(server)
    const forms = [secret, encoded, ...secret.split('/').filter((part) => part.length > 3)]
    expect(forms.filter((form) => logs.includes(form))).toEqual([])
  }
})
