/** How a request names a key, in its path or its query: both forms are taken wherever one is. */
import { t } from 'elysia'

export function keyReference(options: { description: string; examples?: string[] }) {
  return t.String({
    minLength: 1,
    maxLength: 255,
    error: 'must be an id (key_…) or a whole key',
    ...options,
  })
}
