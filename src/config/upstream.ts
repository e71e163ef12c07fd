/**
 * What an upstream's base URL, mount and secret must be, for the settings of the environment and
 * for the admin API alike.
 */
import { parseEndpoint } from '../domain/egress.ts'
import { invalid, type Parsed, QUOTED, QUOTED_PROBLEM, valid } from '../lib/text/parsed.ts'
import type { Kind } from './parse.ts'

/** First segments of paths that are the server's own, now or as planned. */
const OWN_ROUTES = [
  'admin', 'dashboard', 'healthz', 'me', 'metrics', 'proxy', 'readyz', 'swagger', 'u',
] // biome-ignore format: a table

/** Unreserved characters only (RFC 3986 section 2.3), so that such a path has a single spelling. */
const CLEAN_PATH = /^(?:\/(?!\.\.?(?:\/|$))[A-Za-z0-9._~-]+)+$/

/** Long enough for any path that is typed, and short beside the limits that servers put on URLs. */
const MOUNT_CHARS_MAX = 200

/** The form of a mount. No pattern excludes the server's own routes, in any letter case. */
export const MOUNT_FORM = { pattern: CLEAN_PATH.source, maxLength: MOUNT_CHARS_MAX }

/** The form of a base URL. No pattern says which hosts and ports there are. */
const BASE_URL =
  /^[Hh][Tt][Tt][Pp][Ss]?:\/\/[^\s\u0000-\u001f\u007f-\u009f\\?#%/@]+(?:\/[^\s\u0000-\u001f\u007f-\u009f\\?#%/]+)*\/*$/u
export const BASE_URL_FORM = { pattern: BASE_URL.source }

/** Tokens that carry claims can be long; most servers stop at 8 KiB for all headers. */
const SECRET_CHARS_MAX = 8_000
const SECRET = /^(?!(["'`]).*\1$)[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/
export const SECRET_FORM = { pattern: SECRET.source, maxLength: SECRET_CHARS_MAX }

const BASE_URL_RULE =
  'must be an http or https URL without user, query, fragment or encoded characters, such as https://api.openai.com/v1'
const MOUNT_RULE = `must be a path such as /v1: letters, digits and . _ ~ - between slashes, none at the end, and not a path of this server (/${OWN_ROUTES.join(', /')})`
const SECRET_RULE = 'must be visible ASCII characters, without white space at its beginning or end'

/** The URL that the text stands for, its path without a slash at its end. */
export function readBaseUrl(text: string): Parsed<URL> {
  const read = parseEndpoint(text)
  if (!read.ok || !BASE_URL.test(text)) return invalid(BASE_URL_RULE)
  const { url } = read
  url.pathname = url.pathname.replace(/\/+$/, '')
  return valid(url)
}

/** As people write it: a bare origin has no slash at its end. */
export function showBaseUrl(url: URL): string {
  return url.href.replace(/\/$/, '')
}

export function readMount(text: string): Parsed<string> {
  const segments = text.split('/')
  const isClean = CLEAN_PATH.test(text) && text.length <= MOUNT_CHARS_MAX
  // Some reverse proxies match paths in any letter case, and would guard the wrong one.
  const isOwn = OWN_ROUTES.includes(segments[1]?.toLowerCase() ?? '')
  return isClean && !isOwn ? valid(text) : invalid(MOUNT_RULE)
}

export function readSecret(text: string): Parsed<string> {
  if (QUOTED.test(text)) return invalid(QUOTED_PROBLEM)
  return SECRET.test(text) && text.length <= SECRET_CHARS_MAX ? valid(text) : invalid(SECRET_RULE)
}

export const baseUrl: Kind<string> = {
  name: 'http or https URL',
  parse: (text) => {
    const read = sentence(readBaseUrl(text))
    return read.ok ? valid(showBaseUrl(read.value)) : read
  },
}

export const mount: Kind<string> = { name: 'path', parse: (text) => sentence(readMount(text)) }

export const secret: Kind<string> = {
  name: 'secret text',
  parse: (text) => sentence(readSecret(text)),
}

function sentence<T>(read: Parsed<T>): Parsed<T> {
  return read.ok ? read : invalid(`${read.problem}.`)
}
