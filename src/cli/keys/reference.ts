/**
 * How a command is told which key it is about: by its id, by its name if no other key has it, or by
 * the whole key. A whole key is a secret, and others on the machine can see arguments: it is read
 * from standard input only.
 */
import type { Api } from '../api.ts'
import { readSecret } from '../input.ts'
import { Misuse } from '../session.ts'
import type { Key } from './show.ts'

export const KEY_ARGUMENT =
  'its id (key_…), its name if no other key has it, or - to read the whole key from standard input'

/** Names that are listed beside each other when one is not enough. */
const ALIKE_MAX = 10

/** The key as a parameter of a route. */
export async function keyGiven(api: Api, argument: string): Promise<{ readonly key: string }> {
  if (argument.startsWith('key_')) return { key: argument }
  if (argument === '-') return { key: await readSecret('-') }
  if (looksLikeKey(argument))
    throw new Misuse(
      'This looks like a whole key, and arguments can be seen by others. Write - instead, and put the key on standard input.',
    )
  const named = await keysNamed(api, argument)
  const [key, other] = named
  if (!key)
    throw new Error(
      `There is no key of the name "${argument}". "quota-proxy keys list" shows names and ids.`,
    )
  if (other) {
    const ids = named.slice(0, ALIKE_MAX).map(({ id }) => id)
    const more = named.length > ALIKE_MAX ? ', …' : ''
    throw new Misuse(
      `${named.length} keys have the name "${argument}". Give the id of one: ${ids.join(', ')}${more}`,
    )
  }
  return { key: key.id }
}

/** The form of our own, also with a typo in it. */
function looksLikeKey(text: string): boolean {
  return /^[a-z][a-z0-9_]*_[0-9A-Za-z]{36}$/.test(text)
}

async function keysNamed(api: Api, name: string): Promise<Key[]> {
  const named: Key[] = []
  for await (const keys of api.pages('GET /admin/keys', { q: name }))
    named.push(...keys.filter((key) => key.name === name))
  return named
}
