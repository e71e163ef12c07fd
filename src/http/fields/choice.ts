/** One word of a closed list in schemas of the admin API. */
import { t } from 'elysia'

type Options = Parameters<typeof t.Union>[1]

export function oneOf<const Word extends string>(words: readonly Word[], options: Options = {}) {
  const error = `must be one of ${words.join(', ')}`
  return t.Unsafe<Word>(t.Union(literals(words), { error, ...options }))
}

export function oneOfOrNull<const Word extends string>(
  words: readonly Word[],
  options: Options = {},
) {
  return t.Unsafe<Word | null>(t.Union([...literals(words), t.Null()], options))
}

function literals(words: readonly string[]) {
  return words.map((word) => t.Literal(word))
}
