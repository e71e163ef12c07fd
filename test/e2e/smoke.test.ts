import { expect, test } from 'bun:test'
import { issueKey, startServer } from '../support/server.ts'
import { startUpstream } from '../support/upstream.ts'

test('200 clients on a key of 1000 bring exactly 1000 calls to the upstream', async () => {
  const upstream = startUpstream()
  const server = await startServer({ PROXY_EGRESS_ALLOW: upstream.host })
  const { key, id } = await issueKey(server, { quota: 1000 })

  let granted = 0
  const codes = new Set<string>()
  const client = async () => {
    for (let i = 0; i < 8; i++) {
      const response = await server.call(key, { endpoint: `${upstream.url}/v1/chat`, body: { i } })
      const answer = (await response.json()) as { error?: { code: string } }
      if (response.status === 200) granted++
      else codes.add(`${response.status} ${answer.error?.code}`)
      if (answer.error?.code === 'quota_reserved') i--
    }
  }
  await Promise.all(Array.from({ length: 200 }, client))

  expect(granted).toBe(1000)
  expect(upstream.seen.length).toBe(1000)
  expect([...codes].filter((code) => code !== '429 quota_reserved')).toEqual([
    '429 insufficient_quota',
  ])
  const shown = (await (await server.admin('GET', `/admin/keys/${id}`)).json()) as {
    used: number
    remaining: number
  }
  expect(shown).toMatchObject({ used: 1000, remaining: 0 })
})
