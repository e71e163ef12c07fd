/** Where a request goes is read once, whatever its Host says. */
import { expect, test } from 'bun:test'
import { isTarget, readTarget, requestAt } from '../../src/http/request/target.ts'

/** `url` is as Bun hands it over: it has no host if the Host is none. */
function read(url: string, host: string | null = 'a.example'): string {
  const target = readTarget(url, host === null ? {} : { host })
  return isTarget(target) ? target.path + target.search : target.code
}

test('a Host that is a name or an address, with or without a port, is one', () => {
  for (const host of [
    'localhost', 'api.example.org', 'API.example.org:8787', 'a_b', 'a', 'x-1.y', '1.2.3.4', '1.2.3.4:0', 'a:', 'a:65535',
    '[::1]', '[2001:db8::1]:443', 'xn--bcher-kva.example', '.', 'a.', '999.1.1.1', '0x7f.1',
  ]) {
    expect(`${host} ${read('/x', host)}`).toBe(`${host} /x`)
  } // biome-ignore format: a table
})

test('a Host that is none is refused before anything else', () => {
  for (const host of [
    '@', 'a@b', '<x>', 'a^b', 'a|b', 'a b', 'a\tb', 'a/b', 'a?b', 'a#b', 'a\\b', 'é', '%41', 'a%2fb', 'a, b', 'a,b', '*',
    'a:b', 'a:1:2', 'a:65536', 'a:-1', '[::1', '::1', '[::g]', '[1.2.3.4]', '[]', ':80', 'http://a', 'a;b', 'a"b', "a'b",
  ]) {
    expect(`${host} ${read('/x', host)}`).toBe(`${host} malformed_request`)
  } // biome-ignore format: a table
})

test('HTTP/1.0 without a Host, and an empty one, are served, by the path that a URL with a host would have', () => {
  for (const host of [null, '']) {
    expect(read('/a/b?c=d', host)).toBe('/a/b?c=d')
    expect(read('/x/../admin/keys', host)).toBe('/admin/keys')
    expect(read('/x\\..\\admin', host)).toBe('/admin')
    expect(read('/%2e%2e/a', host)).toBe('/a')
    // No host of ours, and no scheme either.
    expect(read('//evil/admin', host)).toBe('//evil/admin')
    expect(read('/a?//b/../c', host)).toBe('/a?//b/../c')
  }
})

test('the path begins after the host and ends before the query, whatever stands in either', () => {
  expect(read('http://a.example/zz/healthz/admin/keys?x=/y')).toBe('/zz/healthz/admin/keys?x=/y')
  expect(read('https://a.example//a//b')).toBe('//a//b')
  expect(read('http://a.example/?')).toBe('/?')
})

test('a fragment, an over-long target and a Content-Length that is no number are refused', () => {
  expect(read('http://a.example/dav/a#x')).toBe('malformed_request')
  expect(read('/dav/a#x', null)).toBe('malformed_request')
  expect(read(`http://a.example/${'a'.repeat(16 * 1024 - 1)}`)).toStartWith('/aaa')
  expect(read(`http://a.example/${'a'.repeat(16 * 1024)}`)).toBe('uri_too_long')
  for (const length of ['2, 2', '+2', '-1', '0x2', '2.0', '', '1e3', '1234567890123456']) {
    const target = readTarget('/', { 'content-length': length })
    expect([length, isTarget(target) ? 'taken' : target.code]).toEqual([
      length,
      'malformed_request',
    ])
  }
})

test('whoever is handed the request reads the very path that was checked', () => {
  for (const url of ['/x/../admin', '//evil/x', '/a%2fb', '/a b', '/é', '/%zz', '/a\\b', '/a?b#']) {
    const target = readTarget(url, {})
    if (!isTarget(target)) continue
    const own = new URL(requestAt(target, new Request('http://localhost/')).url)
    expect([url, own.host, own.pathname + own.search]).toEqual([
      url,
      'localhost',
      target.path + target.search,
    ])
  }
})
