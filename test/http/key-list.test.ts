/** Finding keys among many: pages and filters. */
import { expect, test } from 'bun:test'
import { startServer } from '../support/server.ts'

const server = await startServer()

type Row = { id: string; name: string; status: string }
type Page = { object: string; data: Row[]; has_more: boolean; next: string | null }

async function list(query: Record<string, string> = {}): Promise<Page> {
  const response = await server.admin('GET', `/admin/keys?${new URLSearchParams(query)}`)
  expect(response.status).toBe(200)
  return (await response.json()) as Page
}

/** Follows `next` until there is none. */
async function pages(query: Record<string, string>): Promise<Page[]> {
  const found = [await list(query)]
  for (let next = found[0]?.next; next; next = found.at(-1)?.next)
    found.push(await list({ ...query, after: next }))
  return found
}

async function create(fields: Record<string, unknown>): Promise<Row> {
  const response = await server.admin('POST', '/admin/keys', { name: 'x', quota: 1, ...fields })
  expect(response.status).toBe(201)
  return (await response.json()) as Row
}

const names = (page: Page) => page.data.map(({ name }) => name)

// Made one after the other, so that their order is known.
const created: Row[] = []
for (let i = 0; i < 120; i++) {
  created.push(await create({ name: `key ${i}`, tags: i % 2 ? ['odd'] : ['even', 'a%b'] }))
}
const newestFirst = created.map(({ id }) => id).reverse()

test('pages of any size hold every key once, newest first', async () => {
  for (const limit of ['1', '7', '50', '60', '100']) {
    const found = await pages({ limit, q: 'key ' })
    expect(found.flatMap(({ data }) => data.map(({ id }) => id))).toEqual(newestFirst)
    expect(found.length).toBe(Math.ceil(120 / Number(limit)))
    for (const [i, page] of found.entries()) {
      const last = i === found.length - 1
      expect(page).toMatchObject({ object: 'list', has_more: !last })
      expect(page.next === null).toBe(last)
    }
  }
})

test('a page is 50 keys unless asked otherwise', async () => {
  expect((await list()).data.length).toBe(50)
})

test('keys made and deleted between two pages neither repeat nor hide a key', async () => {
  const q = 'moving'
  const rows = []
  for (let i = 0; i < 6; i++) rows.push(await create({ name: `${q} ${i}` }))
  const first = await list({ limit: '2', q })
  expect(names(first)).toEqual(['moving 5', 'moving 4'])
  await create({ name: `${q} 6` })
  await server.admin('DELETE', `/admin/keys/${rows[3]?.id}`)
  const second = await list({ limit: '2', q, after: first.next ?? '' })
  expect(names(second)).toEqual(['moving 2', 'moving 1'])
})

test('a tag is matched whole and literally', async () => {
  expect(names(await list({ tag: 'odd', limit: '3' }))).toEqual(['key 119', 'key 117', 'key 115'])
  expect((await list({ tag: 'a%b', limit: '1' })).data.length).toBe(1)
  for (const tag of ['od', 'ODD', 'o%', '_dd', 'a_b', '"odd"'])
    expect((await list({ tag })).data).toEqual([])
})

test('q finds a part of the name in any letter case, with % and _ and \\ as themselves, or an id', async () => {
  const special = await create({ name: 'Fifty% off_peak \\ "quoted"' })
  for (const q of ['fifty%', 'FIFTY% OFF', '% o', 'f_p', '\\', '"quoted"'])
    expect((await list({ q })).data.map(({ id }) => id)).toEqual([special.id])
  for (const q of ['fifty_', 'off%peak', 'y%o', '_f_', "' OR 1=1 --"])
    expect((await list({ q })).data).toEqual([])
  expect(names(await list({ q: special.id }))).toEqual([special.name])
  expect((await list({ q: special.id.slice(0, -1) })).data).toEqual([])
})

test('every key has one status, and the filter of that status alone finds it', async () => {
  const past = '2020-01-01T00:00:00Z'
  const future = '2096-01-01T00:00:00Z'
  const tag = 'status'
  const expected: Record<string, string[]> = {
    active: [
      (await create({ tags: [tag] })).id,
      (await create({ tags: [tag], expires_at: future })).id,
    ],
    expired: [(await create({ tags: [tag], expires_at: past })).id],
    disabled: [
      (await create({ tags: [tag], enabled: false })).id,
      (await create({ tags: [tag], enabled: false, expires_at: past })).id,
    ],
  }
  for (const [status, ids] of Object.entries(expected)) {
    const { data } = await list({ status, tag })
    expect(data.map(({ id }) => id)).toEqual(ids.reverse())
    expect(new Set(data.map((row) => row.status))).toEqual(new Set([status]))
  }
})

test('filters narrow each other, within pages too', async () => {
  const found = await pages({ tag: 'odd', q: 'key 1', status: 'active', limit: '4' })
  const expected = created
    .map(({ name }) => name)
    .filter((name) => /^key 1\d*[13579]$|^key 1$/.test(name))
  expect(found.flatMap(names)).toEqual(expected.reverse())
})

const WRONG: Record<string, Record<string, string>> = {
  limit: { limit: '0' },
  after: { after: 'x' },
  status: { status: 'deleted' },
  tag: { tag: '' },
  q: { q: 'x'.repeat(201) },
}
for (const [path, query] of Object.entries(WRONG)) {
  test(`a wrong ${path} is named`, async () => {
    const response = await server.admin('GET', `/admin/keys?${new URLSearchParams(query)}`)
    expect(response.status).toBe(422)
    expect(await response.json()).toMatchObject({ code: 'validation_failed', errors: [{ path }] })
  })
}

test('only whole numbers from 1 to 100 are a page size', async () => {
  for (const limit of ['-1', '101', '1.5', '1e1', '0x10', '٣', 'NaN', '', '05', '+5']) {
    const response = await server.admin('GET', `/admin/keys?limit=${encodeURIComponent(limit)}`)
    expect({ limit, status: response.status }).toEqual({ limit, status: 422 })
  }
})
