/**
 * How a command is told which key it is about: by its id, by its name if no other key has it, or by
 * the whole key. A whole key is a secret, and others on the machine can see arguments: it is read
 * from standard input only.
 */
import type { Api } from '../api.ts'
import type { Run } from '../command.ts'
import { readSecret } from '../input.ts'
import { Misuse } from '../session.ts'

export const KEY_ARGUMENT =
  'its id (key_…), its name if no other key has it, or - to read the whole key from standard input'

/** Names that are listed beside each other when one is not enough. */
const ALIKE_MAX = 10

type Given = { readonly key: string }
type Named = { readonly id: string; readonly name: string }

/** The key as a parameter of a route. */
export async function keyGiven(api: Api, argument: string): Promise<Given> {
  const key = await keyAtHand(api, argument)
  if (key) return key
  const [gone] = await deletedNamed(api, argument)
  if (!gone) throw unknown(argument)
  throw new Error(
    `The key "${argument}" is deleted. "quota-proxy usage --key ${gone.id}" shows what it has used.`,
  )
}

/** The same of a report, which tells of deleted keys as well, and says so. */
export async function reportedKey(
  { api, session }: Pick<Run, 'api' | 'session'>,
  argument: string,
): Promise<Given> {
  const key = await keyAtHand(api, argument)
  if (key) return key
  const gone = onlyOne(await deletedNamed(api, argument), argument, 'deleted keys')
  if (!gone) throw unknown(argument)
  session.io.err(`The key "${argument}" is deleted; it was ${gone.id}.\n`)
  return { key: gone.id }
}

/** Null if no key that there is has the name. */
async function keyAtHand(api: Api, argument: string): Promise<Given | null> {
  if (argument.startsWith('key_')) return { key: argument }
  if (argument === '-') return { key: await readSecret('-') }
  if (looksLikeKey(argument))
    throw new Misuse(
      'This looks like a whole key, and arguments can be seen by others. Write - instead, and put the key on standard input.',
    )
  const key = onlyOne(await keysNamed(api, argument), argument, 'keys')
  return key ? { key: key.id } : null
}

function onlyOne(named: readonly Named[], name: string, what: string): Named | undefined {
  if (named.length <= 1) return named[0]
  const ids = named.slice(0, ALIKE_MAX).map(({ id }) => id)
  const more = named.length > ALIKE_MAX ? ', …' : ''
  throw new Misuse(
    `${named.length} ${what} have the name "${name}". Give the id of one: ${ids.join(', ')}${more}`,
  )
}

function unknown(name: string): Error {
  return new Error(
    `There is no key of the name "${name}". "quota-proxy keys list" shows names and ids.`,
  )
}

/** The form of our own, also with a typo in it. */
function looksLikeKey(text: string): boolean {
  return /^[a-z][a-z0-9_]*_[0-9A-Za-z]{36}$/.test(text)
}

async function keysNamed(api: Api, name: string): Promise<Named[]> {
  const named: Named[] = []
  for await (const keys of api.pages('GET /admin/keys', { q: name }))
    named.push(...keys.filter((key) => key.name === name))
  return named
}

/** Of those whose sums are still kept: about others there is nothing to say. */
async function deletedNamed(api: Api, name: string): Promise<Named[]> {
  const named: Named[] = []
  for await (const rows of api.pages('GET /admin/usage', {}))
    for (const row of rows)
      if ('status' in row && row.status === 'deleted' && row.name === name) named.push(row)
  return named
}
