/** What several routes take or show of a key. */
import { KEY_CHARS_MAX } from '../../domain/key/secret.ts'
import { textsOrNull } from './nullable.ts'
import { anyText } from './text.ts'

/** How a request names a key, in its path or its query. */
export function keyReference(options: { description: string; examples?: string[] }) {
  return anyText(1, KEY_CHARS_MAX, { error: 'must be an id (key_…) or a whole key', ...options })
}

/** The lists of a scope as answers show them; null restricts nothing. */
export const shownScope = {
  upstreams: textsOrNull,
  methods: textsOrNull,
  paths: textsOrNull,
  models: textsOrNull,
  ip_allow: textsOrNull,
}
