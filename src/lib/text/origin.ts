/** What an origin is that a browser, or an app that is made of a page, sends along (RFC 6454 section 6.2). Pure. */

/**
 * `*`, a web origin, or one of an app with a scheme of its own (`app://obsidian.md`, `tauri://localhost`,
 * `chrome-extension://…`), whose host may hold capitals. `file:` and its like have no origin.
 */
export const ORIGIN =
  /^(?:\*|https?:\/\/[a-z0-9.:_[\]-]+|(?!(?:https?|wss?|ftp|file|data|blob|about|javascript):)[a-z][a-z0-9+.-]{0,63}:\/\/[A-Za-z0-9.:_[\]-]{1,255})$/

/** `URL` takes more for a host than any browser sends, and knows the origins of web schemes only. */
export function isOrigin(text: string): boolean {
  if (!ORIGIN.test(text)) return false
  return !/^https?:/.test(text) || URL.parse(text)?.origin === text
}
