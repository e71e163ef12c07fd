/** What was done to a key by hand can be read again. */
import { expect, test } from 'bun:test'
import { issueKey, startServer } from '../support/server.ts'

const server = await startServer()

type Row = { id: string; at: string; kind: string; limit: string; amount: number; reason: string }
type Page = { object: string; data: Row[]; has_more: boolean; next: string | null }

const ask = (key: string, query = '') =>
  server.admin('GET', `/admin/keys/${key}/adjustments${query}`)

async function list(key: string, query = ''): Promise<Page> {
  const response = await ask(key, query)
  expect(response.status).toBe(200)
  return (await response.json()) as Page
}

async function adjust(id: string, what: 'credit' | 'reset', body: object): Promise<void> {
  const response = await server.admin('POST', `/admin/keys/${id}/${what}`, body)
  expect(response.status).toBe(200)
}

test('a credit and a reset are listed, the newest first, with what was done and why', async () => {
  const { id, key } = await issueKey(server, {
    quota: 7,
    limits: [{ unit: 'requests', amount: 9, window: 'day' }],
  })
  const start = Date.now()
  await adjust(id, 'credit', { amount: 500, reason: 'goodwill' })
  await adjust(id, 'credit', { amount: -3, limit: 'requests-day' })
  await adjust(id, 'reset', {})
  const page = await list(id)
  const reset = { key_id: id, kind: 'reset', amount: 0, reason: '' }
  const credit = { key_id: id, kind: 'credit' }
  expect(page).toEqual({
    object: 'list',
    data: [
      { ...reset, limit: 'requests-day' },
      { ...reset, limit: 'quota' },
      { ...credit, limit: 'requests-day', amount: -3, reason: '' },
      { ...credit, limit: 'quota', amount: 500, reason: 'goodwill' },
    ].map((row) => ({ ...row, id: expect.any(String), at: expect.any(String) })),
    has_more: false,
    next: null,
  })
  expect(new Set(page.data.map((row) => row.id)).size).toBe(4)
  for (const { at } of page.data) expect(Date.parse(at)).toBeWithin(start, Date.now() + 1)
  expect(await list(key)).toEqual(page)
})

test('a key without any has an empty list, whatever was done to others', async () => {
  const { id } = await issueKey(server)
  await adjust((await issueKey(server)).id, 'reset', {})
  expect(await list(id)).toEqual({ object: 'list', data: [], has_more: false, next: null })
})

test('pages of any size hold each once, the newest first, whatever is added meanwhile', async () => {
  for (const limit of [1, 2, 3, 6, 100]) {
    const { id } = await issueKey(server)
    for (const amount of [1, 2, 3, 4, 5, 6]) await adjust(id, 'credit', { amount })
    const pages = [await list(id, `?limit=${limit}`)]
    // Stops by itself, so that a cursor that leads nowhere fails the test instead of keeping it.
    for (let next = pages[0]?.next; next && pages.length < 9; next = pages.at(-1)?.next) {
      await adjust(id, 'credit', { amount: 99 })
      pages.push(await list(id, `?limit=${limit}&after=${next}`))
    }
    const seen = pages.flatMap(({ data }) => data.map(({ amount }) => amount))
    expect({ limit, seen }).toEqual({ limit, seen: [6, 5, 4, 3, 2, 1] })
    expect(pages.length).toBe(Math.ceil(6 / limit))
    expect(pages.map((page) => page.has_more)).toEqual(pages.map((page) => page.next !== null))
  }
})

test('a disabled key has its list still; one that is unknown or deleted is not found', async () => {
  const { id } = await issueKey(server)
  await adjust(id, 'credit', { amount: 1 })
  await server.admin('PATCH', `/admin/keys/${id}`, { enabled: false })
  expect((await list(id)).data).toHaveLength(1)
  await server.admin('DELETE', `/admin/keys/${id}`)
  for (const key of [id, 'key_00000000000000000000', 'a-raw-key-of-nobody']) {
    const response = await ask(key)
    expect(response.status).toBe(404)
    expect(await response.json()).toMatchObject({ code: 'key_not_found' })
  }
})

for (const [what, query, path] of [
  ['a page size of 0', '?limit=0', 'limit'],
  ['a page size of 101', '?limit=101', 'limit'],
  ['a cursor that is none', '?after=adj_1', 'after'],
  ['an empty cursor', '?after=', 'after'],
  ['an unknown parameter', '?kind=credit', ''],
  ['a parameter given twice', '?limit=1&limit=1', ''],
] as const) {
  test(`${what} is refused by name`, async () => {
    const { id } = await issueKey(server)
    const response = await ask(id, query)
    expect(response.status).toBe(422)
    expect(await response.json()).toMatchObject({ code: 'validation_failed', errors: [{ path }] })
  })
}
