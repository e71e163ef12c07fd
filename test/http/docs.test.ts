/** The pages of the documentation, and what all our answers tell browsers. */
import { expect, test } from 'bun:test'
import { startServer } from '../support/server.ts'

const server = await startServer()

test('the bare address leads programs to the documentation', async () => {
  const response = await fetch(`${server.url}/`, { redirect: 'manual' })
  expect(response.status).toBe(302)
  expect(response.headers.get('location')).toBe('/swagger')
})

test('the document is compressed where that is understood, and not sent twice', async () => {
  const plain = await fetch(`${server.url}/swagger/json`, { headers: { 'accept-encoding': '' } })
  expect(plain.headers.get('content-encoding')).toBeNull()
  const zipped = await fetch(`${server.url}/swagger/json`, {
    headers: { 'accept-encoding': 'gzip' },
    decompress: false,
  })
  expect(zipped.headers.get('content-encoding')).toBe('gzip')
  expect(zipped.headers.get('vary')).toBe('accept-encoding')
  expect(new TextDecoder().decode(Bun.gunzipSync(await zipped.arrayBuffer()))).toBe(
    await plain.text(),
  )

  const etag = plain.headers.get('etag') ?? ''
  const again = await fetch(`${server.url}/swagger/json`, { headers: { 'if-none-match': etag } })
  expect(again.status).toBe(304)
  expect(await again.text()).toBe('')
})

test('no answer of ours can be framed, guessed at, or tell other sites where it was read', async () => {
  for (const path of ['/', '/swagger', '/swagger/json', '/admin/keys', '/healthz', '/nothing']) {
    const { headers } = await fetch(server.url + path, { redirect: 'manual' })
    expect(headers.get('x-content-type-options')).toBe('nosniff')
    expect(headers.get('x-frame-options')).toBe('DENY')
    expect(headers.get('referrer-policy')).toBe('no-referrer')
    const policy = headers.get('content-security-policy')
    expect(policy).toStartWith("default-src 'none'")
    expect(policy).toContain("frame-ancestors 'none'")
    expect(policy).not.toContain('unsafe')
  }
})
