/** Words of HTTP itself that several rooms need: what a name may look like, and which headers end at a connection. */

/** One character of a token, as methods and names of headers are made of (RFC 9110 section 5.6.2). */
export const TOKEN_CHAR = "[!#$%&'*+.^_`|~0-9A-Za-z-]"

/** The name of a header; the length leaves room beyond the longest registered one. */
export const HEADER_NAME = new RegExp(`^${TOKEN_CHAR}{1,100}$`)

/** RFC 9110 section 7.6.1 and older names to the same effect: they belong to one connection, not to the message. */
export const HOP_BY_HOP: readonly string[] = [
  'connection', 'http2-settings', 'keep-alive', 'proxy-authenticate', 'proxy-authentication-info',
  'proxy-authorization', 'proxy-connection', 'te', 'trailer', 'transfer-encoding', 'upgrade',
] // biome-ignore format: a table
