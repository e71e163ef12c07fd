/** How a request names a key, in its path or its query: both forms are taken wherever one is. */
import { anyText } from './text.ts'

export function keyReference(options: { description: string; examples?: string[] }) {
  return anyText(1, 255, {
    error: 'must be an id (key_…) or a whole key',
    ...options,
  })
}
