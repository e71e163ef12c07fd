/**
 * Headers by which our own answers tell browsers to guess, frame, load and tell other sites
 * nothing.
 */

/** Not for answers of an upstream, which pass as they came. A page brings its own policy. */
export function setSecurityHeaders(headers: Headers): void {
  headers.set('x-content-type-options', 'nosniff')
  headers.set('referrer-policy', 'no-referrer')
  headers.set('x-frame-options', 'DENY')
  if (!headers.has('content-security-policy')) {
    headers.set('content-security-policy', "default-src 'none'; frame-ancestors 'none'")
  }
}
