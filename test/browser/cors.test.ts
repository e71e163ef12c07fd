/** A page on another origin, in a real browser, calls a mount: with the operator's leave, and without it. */
import { expect } from 'bun:test'
import { browserTest, openPage } from '../support/browser.ts'
import { addUpstream, CREDENTIAL } from '../support/named-upstream.ts'
import { issueKey, startServer } from '../support/server.ts'
import { startUpstream } from '../support/upstream.ts'

const site = startUpstream(
  () =>
    new Response('<!doctype html><title>page</title>', {
      headers: { 'content-type': 'text/html' },
    }),
)
const upstream = startUpstream((_, { body }) => Response.json({ said: body }))
const server = await startServer()
for (const [name, origins] of [
  ['open', [site.url]],
  ['closed', ['https://elsewhere.example']],
] as const) {
  await addUpstream(server, {
    ...{ name, mount: `/${name}`, base_url: upstream.url },
    credential: { secret: CREDENTIAL },
    cors_origins: origins,
  })
}

type Seen = {
  failed: boolean
  status?: number
  text?: string
  headers?: Record<string, string | null>
}

/** What a script of the page gets to see of a call. */
async function callFromPage(mount: string, key: string): Promise<Seen> {
  const { page } = await openPage()
  await page.goto(site.url)
  const script = `(async () => {
    try {
      const answer = await fetch(${JSON.stringify(`${server.url}${mount}/echo`)}, {
        method: 'POST',
        headers: { authorization: ${JSON.stringify(`Bearer ${key}`)}, 'content-type': 'application/json', 'x-sdk': '1' },
        body: '{"a":1}',
      })
      const names = ['x-quota-limit', 'x-quota-remaining', 'x-quota-cost', 'ratelimit', 'x-request-id', 'server-timing']
      const headers = Object.fromEntries(names.map((name) => [name, answer.headers.get(name)]))
      return { failed: false, status: answer.status, text: await answer.text(), headers }
    } catch {
      return { failed: true }
    }
  })()`
  const seen = (await page.evaluate(script)) as Seen
  await page.context().close()
  return seen
}

browserTest('a page that is allowed reads the answer and its quota', async () => {
  const { key } = await issueKey(server, { quota: 10 })
  const before = upstream.seen.length
  const seen = await callFromPage('/open', key)
  expect(seen).toMatchObject({
    status: 200,
    text: '{"said":"{\\"a\\":1}"}',
    headers: { 'x-quota-limit': '10', 'x-quota-remaining': '9', 'x-quota-cost': '1' },
  })
  expect(seen.headers?.['ratelimit']).toContain('r=9')
  expect(seen.headers?.['x-request-id']).toStartWith('req_')
  // The preflight, which the browser has sent, is not among them.
  expect(upstream.seen.slice(before).map(({ method }) => method)).toEqual(['POST'])
})

browserTest('a page that is allowed reads why it was refused', async () => {
  const { key } = await issueKey(server, { quota: 0 })
  const seen = await callFromPage('/open', key)
  expect(seen).toMatchObject({ status: 429, headers: { 'x-quota-remaining': '0' } })
  expect(seen.text).toContain('insufficient_quota')
})

browserTest('a page that is not allowed reads nothing, and its call is not even made', async () => {
  const { key, id } = await issueKey(server, { quota: 10 })
  const before = upstream.seen.length
  expect(await callFromPage('/closed', key)).toEqual({ failed: true })
  expect(upstream.seen).toHaveLength(before)
  const shown = await server.admin('GET', `/admin/keys/${id}`)
  expect(await shown.json()).toMatchObject({ used: 0 })
})
