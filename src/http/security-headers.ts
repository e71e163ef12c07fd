/** What our own answers tell browsers: nothing may be guessed, framed, loaded or told to other sites. */

/** Not for answers of an upstream, which are passed on as they came. A page brings a policy of its own. */
export function setSecurityHeaders(headers: Headers): void {
  headers.set('x-content-type-options', 'nosniff')
  headers.set('referrer-policy', 'no-referrer')
  headers.set('x-frame-options', 'DENY')
  if (!headers.has('content-security-policy')) {
    headers.set('content-security-policy', "default-src 'none'; frame-ancestors 'none'")
  }
}
