/** Commands that work on one key, or on all keys with a tag. */
import type { Api } from '../api.ts'
import { type ConfirmedOptions, isWanted, type Run } from '../command.ts'
import { count } from '../output/format.ts'
import { createProgress } from '../output/progress.ts'
import { printable } from '../output/table.ts'
import { Misuse } from '../session.ts'
import { keyGiven } from './reference.ts'
import type { Key } from './show.ts'

export type BulkOptions = ConfirmedOptions & { readonly tag?: string }

type Selection =
  | { readonly key: string; readonly tag?: never }
  | { readonly key?: never; readonly tag: string }

/** What a command is about. Throws Misuse unless that is one of the two. */
export function selected(key: string | undefined, tag: string | undefined): Selection {
  if (key !== undefined && tag === undefined) return { key }
  if (tag !== undefined && key === undefined) return { tag }
  throw new Misuse('Name a key, or with --tag all keys with a tag: one of the two, not both.')
}

/** Named in a question. */
const NAMES_MAX = 3

/** All keys with the tag that is given in the place of a key, after a question; null if the answer is no. */
export async function keysTagged(
  run: Run<ConfirmedOptions>,
  tag: string,
  verb: string,
): Promise<readonly Key[] | null> {
  const keys = await withTag(run.api, tag)
  if (keys.length === 0) throw new Error(`There is no key with the tag "${tag}".`)
  const names = keys.slice(0, NAMES_MAX).map(({ name }) => printable(name))
  const more = keys.length > NAMES_MAX ? ', …' : ''
  const all = keys.length === 1 ? 'the key' : `all ${count(keys.length)} keys`
  const question = `${verb} ${all} with the tag "${tag}" (${names.join(', ')}${more})?`
  return (await isWanted(run, keys, question)) ? keys : null
}

/** Does the same to each, and says how far it came. */
export async function doEach<T>(
  { session, show }: Run<ConfirmedOptions>,
  keys: readonly Key[],
  done: string,
  act: (key: Key) => Promise<T>,
): Promise<readonly T[]> {
  const progress = createProgress(session, `keys ${done}`, keys.length)
  const answers: T[] = []
  try {
    for (const key of keys) {
      answers.push(await act(key))
      progress.step()
    }
  } finally {
    progress.end()
    const finished = answers.length
    const left = keys.length - finished
    const rest = left > 0 ? `; ${count(left)} are as they were, and the same command goes on` : ''
    session.io.err(`${count(finished)} ${finished === 1 ? 'key is' : 'keys are'} ${done}${rest}.\n`)
  }
  await show(answers, () => '')
  return answers
}

export async function one(api: Api, argument: string): Promise<Key> {
  return await api.ask('GET /admin/keys/:key', await keyGiven(api, argument))
}

async function withTag(api: Api, tag: string): Promise<Key[]> {
  const keys: Key[] = []
  for await (const page of api.pages('GET /admin/keys', { tag })) keys.push(...page)
  return keys
}
