/** Whether a parsed JSON value is an object. JavaScript also calls lists and null objects. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
