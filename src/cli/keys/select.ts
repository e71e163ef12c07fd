/** Commands that work on one key, or on all keys with a tag. */
import type { Api } from '../api.ts'
import type { ConfirmedOptions, Run } from '../command.ts'
import { confirm } from '../confirm.ts'
import { count } from '../output/format.ts'
import { createProgress } from '../output/progress.ts'
import { Misuse } from '../session.ts'
import { keyGiven } from './reference.ts'
import type { Key } from './show.ts'

export type BulkOptions = ConfirmedOptions & { readonly tag?: string | readonly string[] }

/** Named in a question. */
const NAMES_MAX = 3

/** All keys with the tag that is given in the place of a key, after a question; null if the answer is no. */
export async function keysTagged(
  run: Run<BulkOptions>,
  tag: string,
  verb: string,
): Promise<readonly Key[] | null> {
  const keys = await withTag(run.api, tag)
  if (keys.length === 0) throw new Error(`There is no key with the tag "${tag}".`)
  const names = keys.slice(0, NAMES_MAX).map(({ name }) => name)
  const more = keys.length > NAMES_MAX ? ', …' : ''
  const all = keys.length === 1 ? 'the key' : `all ${count(keys.length)} keys`
  const question = `${verb} ${all} with the tag "${tag}" (${names.join(', ')}${more})?`
  if (run.options.dryRun) {
    run.session.io.out(`Would ask: ${question}\n`)
    return null
  }
  if (await confirm(run.session, question, run.options.yes)) return keys
  run.session.exitCode = 1
  return null
}

/** Does the same to each, and says how far it came. */
export async function doEach(
  { session }: Run<BulkOptions>,
  keys: readonly Key[],
  done: string,
  act: (key: Key) => Promise<unknown>,
): Promise<void> {
  const progress = createProgress(session, `keys ${done}`, keys.length)
  let finished = 0
  try {
    for (const key of keys) {
      await act(key)
      finished++
      progress.step()
    }
  } finally {
    progress.end()
    const left = keys.length - finished
    const rest = left > 0 ? `; ${count(left)} are as they were, and the same command goes on` : ''
    session.io.err(`${count(finished)} ${finished === 1 ? 'key is' : 'keys are'} ${done}${rest}.\n`)
  }
}

/** Exactly one of the two must be given. */
export function mustSelect(argument: string | undefined, tag: string | undefined): void {
  if (argument !== undefined && tag !== undefined)
    throw new Misuse('Name a key, or give --tag for all keys with a tag: not both.')
  if (argument !== undefined || tag !== undefined) return
  throw new Misuse('Name a key, or give --tag for all keys with a tag.')
}

export async function one(api: Api, argument: string): Promise<Key> {
  return await api.ask('GET /admin/keys/:key', await keyGiven(api, argument))
}

async function withTag(api: Api, tag: string): Promise<Key[]> {
  const keys: Key[] = []
  for await (const page of api.pages('GET /admin/keys', { tag })) keys.push(...page)
  return keys
}
