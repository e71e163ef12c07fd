/** GraphQL over HTTP, by graphql-http's own audits: through the proxy a server conforms as it does without. */
import { expect, test } from 'bun:test'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buildSchema } from 'graphql'
import { auditServer } from 'graphql-http'
import { createHandler } from 'graphql-http/lib/use/http'
import { addUpstream } from '../support/named-upstream.ts'
import { closeWithRun, issueKey, startServer } from '../support/server.ts'

test('a GraphQL server conforms as without the proxy, by its name and by its mount', async () => {
  const url = await startGraphQl()
  const direct = await audit(url)
  expect(direct.length).toBe(61)
  expect(direct.filter((line) => !line.endsWith(' ok'))).toEqual([])

  const server = await startServer()
  const { key } = await issueKey(server, { quota: null })
  const fields = { base_url: url, meter: { kind: 'none' } }
  await addUpstream(server, { ...fields, name: 'graph', mount: '/graphql' })
  for (const path of ['/graphql', '/u/graph'])
    expect(await audit(`${server.url}${path}`, { 'x-api-key': key })).toEqual(direct)
})

async function startGraphQl(): Promise<string> {
  const schema = buildSchema('type Query { hello: String } type Mutation { hello: String }')
  const server = createServer(createHandler({ schema }))
  closeWithRun(() => server.close())
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/graphql`
}

/** The name of each audit, and its end. */
async function audit(url: string, own: Record<string, string> = {}): Promise<string[]> {
  const fetchFn = (target: string, init: RequestInit = {}) => {
    const headers = new Headers(init.headers)
    for (const [name, value] of Object.entries(own)) headers.set(name, value)
    return fetch(target, { ...init, headers })
  }
  const results = await auditServer({ url, fetchFn })
  return results.map(({ id, name, status, ...more }) => {
    const why = 'reason' in more ? `: ${more.reason}` : ''
    return `${id} ${name}${why} ${status}`
  })
}
