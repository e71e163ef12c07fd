/** Whether a parsed JSON value is an object: neither a list nor null, which JavaScript calls objects too. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
