/** What HTTP itself says about names, headers and requests, for all rooms that need it. Pure. */

/**
 * One character of a token (RFC 9110 section 5.6.2), which methods and names of headers consist of.
 */
export const TOKEN_CHAR = "[!#$%&'*+.^_`|~0-9A-Za-z-]"

/** The name of a header; the length leaves room beyond the longest registered one. */
export const HEADER_NAME = new RegExp(`^${TOKEN_CHAR}{1,100}$`)

/**
 * RFC 9110 section 7.6.1, and older names to the same effect: they belong to one connection, not to
 * the message.
 */
export const HOP_BY_HOP: readonly string[] = [
  'connection', 'http2-settings', 'keep-alive', 'proxy-authenticate', 'proxy-authentication-info',
  'proxy-authorization', 'proxy-connection', 'te', 'trailer', 'transfer-encoding', 'upgrade',
] // biome-ignore format: a table

/**
 * The token of an `Authorization: Bearer` field (RFC 6750 section 2.1), or null. The scheme's name
 * is case-insensitive (RFC 9110 section 11.1).
 */
export function bearer(value: string | null): string | null {
  return (value && /^bearer +(\S+) *$/i.exec(value)?.[1]) || null
}

/** The scheme that a request came by; plain HTTP if its URL names no host and so no scheme. */
export function schemeOf({ url }: Request): 'http' | 'https' {
  return url.startsWith('https:') ? 'https' : 'http'
}
