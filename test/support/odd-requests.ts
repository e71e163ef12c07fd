/** Requests that a server in front must not let through, and such as look like them and are right. */
import { CLOSED } from './path-readings.ts'

export function get(target: string, host = 'localhost', fields: readonly string[] = []): string {
  return `${[`GET ${target} HTTP/1.1`, `Host: ${host}`, ...fields].join('\r\n')}\r\n\r\n`
}

export const HOSTS = [
  ...['localhost', 'LOCALHOST', 'localhost:443', 'localhost:', 'localhost.', 'api.example.org', 'a_b', '3com', 'a-b.c-d'],
  ...['xn--bcher-kva.example', '127.0.0.1', '127.0.0.1:65535', '[::1]', '[::1]:8443', '[2001:db8::192.0.2.1]'],
] // biome-ignore format: a table

/** No byte but letters, digits, `-`, `_`, `.` and `:` is part of a name. */
export const NO_HOSTS = [
  ...[...' !"#$%&\'()*+,/;<=>?@[\\]^`{|}~\0\x01\t\x0b\x1f\x7f\x80\xa0\xe9\xff'].map((char) => `a${char}b`),
  ...['@', '%', '/', '?', '#', '\\', '\xe9', '\0'],
  ...['', '.', '..', 'a..b', '.a', ':', ':443', 'a:b', 'a:80:80', 'a:-1', 'a:123456', '[', '[]', '[::1', '::1', '[zz]', '[::1]a'],
  ...['<x>', 'a%2fb', 'a%40b', '%41', 'user@localhost', 'http://localhost', 'localhost/admin', 'localhost,localhost'],
] // biome-ignore format: a table

/** At a server that takes such a host for a part of the path, these are among the closed ones. */
export const BEHIND_HOST = ['/zz/healthz/admin/keys', '/x/me/aaaaa/admin/keys', '/x/metrics']

/** What leads back to the root, or stays there, for whoever follows it. */
export const STEPS = ['/u/..', '/u/api/../..', '/v1/.%2e', '/v1/%2E%2e', '/u/..;x', '/u/..%3bx', '/v1\\..', '/u/%252e%252e', '/u/%25%32%65.',
  '/u/%2e%2525%32e', '/..', '/u//../..', '/u/%2f..', '/u/api/../x/%5c..'] // biome-ignore format: a table
export const NOTHINGS = ['', '/', '/.', '/./.', '/%2e', '/%252e', '/;x', '/.;x=1', '/%3bx', '//./', 'http://localhost',
  'https://localhost/v1/..'] // biome-ignore format: a table
const WORDS = CLOSED.flatMap((word) => [
  ...[`/${word}`, `/${word.toUpperCase()}/x`, `//${word};x/x`, `/${word}?x`, `/${word}%2fx`, `/${word}\\x`, `/${word}%3fx`],
  ...[`%2f${word}/x`, `\\${word}`, `%5C${word}/x`, `%252F${word}`, `/${word}/../x`, `/${word}/.`],
  ...['%', '%25', '%2525', '%25%3'].map((percent) => {
    const hex = word.charCodeAt(1).toString(16)
    return `/${word[0]}${percent}${percent.endsWith('3') ? `${hex[0]}${hex[1]}` : hex}${word.slice(2)}/x`
  }),
]) // biome-ignore format: a table
export const CLOSED_TARGETS = [...NOTHINGS, ...STEPS]
  .flatMap((before) => WORDS.map((word) => before + word))
  // Anything else would be no target.
  .filter((target) => target.startsWith('/') || target.startsWith('http'))

/** No paths, or with an escape that is none: what that decodes to, everybody decides alone. */
export const NO_TARGETS = [
  ...['*', 'admin/keys', 'http:admin/keys', 'x:admin/keys', '%2fadmin', '?/admin', '/%zz', '/u/%', '/u/api/%2', '/%%361dmin/keys'],
  ...['/u/%%32e./admin/keys', '/u/%2%65./admin/keys'],
] // biome-ignore format: a table

/** As long as the servers take, and made to be expensive, or to be given up. */
export const LONG = [
  ['/./', './', 'admin/keys'], ['/', '/', 'admin/keys'], ['/', '%2f', 'admin'], ['/u/', '..//', 'admin'], ['/;', '/x', '/admin'],
  ['/%', '25', '2fadmin'], ['/u/../', 'x/', 'admin'], ['/.;', ';', '/admin'], ['/u/..', '\\', 'admin'],
].map(([start, part, end]) => `${start}${part?.repeat(Math.floor(14_000 / part.length))}${end}`) // biome-ignore format: a table

/** Of holders, and of nobody. */
export const OPEN = [
  ...['/', '/v1/chat/completions', '/proxy', '/me', '/me/usage?x=/admin', '/u/api/x?next=/../admin/keys', '/healthz', '/u/api'],
  ...['/u/api/admin/keys', '/u/api/metrics', '/v1/swagger/', '/v1/organization/admin_api_keys', '/administration', '/admin-x/y'],
  ...['/metrics.json', '/u/api/a%2Fb', '/u/api/a%2fb%5Cc', '/u/api/%41', '/u/api/a%252Fb', '/u/api//a', '/u/api///admin', '/u/api/.x'],
  ...['/u/api/a;b=c', '/u/api/;x/admin', '/u/api/./admin', '/u/api/%E2%82%AC/%0A', '/u/api/..x/admin', '/u/api/x../admin'],
  ...['/u/api/.../admin', '/u/api/100%25', '/u/api/%2525', '/u/api/%2520%2541', '/u/api/a/../b', "/u/api/~(x)!$&'*+,=:@"],
] // biome-ignore format: a table

/** Where the body ends is said in two ways, or in none that is known; behind one of the ends stands a closed request. */
const ENDS = [
  ['Content-Length: 5', 'Content-Length: 0'], ['Content-Length: 0, 5'], ['Content-Length: +5'], ['Content-Length: 0x5'],
  ['Content-Length: 5', 'Transfer-Encoding: chunked'], ['Transfer-Encoding: chunked', 'Content-Length: 500'],
  ['Transfer-Encoding: chunked', 'Transfer-Encoding: identity'], ['Transfer-Encoding: xchunked'], ['Transfer-Encoding : chunked'],
  ['Transfer-Encoding: chunked, identity'], ['Transfer-Encoding:\x0bchunked'], ['Content-Length: 5', ' Transfer-Encoding: chunked'],
] // biome-ignore format: a table
export const SMUGGLED = ENDS.map(
  (fields) =>
    `POST /x HTTP/1.1\r\nHost: localhost\r\n${fields.join('\r\n')}\r\n\r\n0\r\n\r\n${get('/admin/keys')}`,
)
