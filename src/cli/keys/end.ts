/** `quota-proxy keys reset|rotate|delete`: what cannot be taken back, and is asked about. */

import { type CliCommand, type ConfirmedOptions, isWanted, type Run } from '../command.ts'
import { fieldsOf } from '../input.ts'
import { span } from '../output/format.ts'
import { readQuota, readSeconds } from './fields.ts'
import { KEY_ARGUMENT } from './reference.ts'
import { type BulkOptions, doEach, keysTagged, one, selected } from './select.ts'
import { balanceOf, type Key, keyRenderer, nameOf, SHOWN_ONCE } from './show.ts'

/** What follows names the key by its id: its secret may name it no more. */
const find = ({ api }: Run<unknown>, argument: string) => one(api, argument)

export function addKeyEnds(keys: CliCommand): void {
  keys
    .command('reset')
    .summary('start the quota of a key afresh')
    .description('Let every limit of a key start at nothing used.')
    .argument('<key>', KEY_ARGUMENT)
    .option('--quota <number>', 'change the quota too; or "unlimited"', readQuota)
    .asksFirst({
      find,
      question: (key) => `Start ${nameOf(key)} afresh? ${balanceOf(key)}.`,
      async act({ api, options, show }, { id: key }) {
        const body = fieldsOf(options, { quota: 'quota' })
        await show(await api.ask('POST /admin/keys/:key/reset', { key }, body), keyRenderer(api))
      },
    })
    .examples(
      'quota-proxy keys reset key_4hXcQ0m2VtYb7LrKp9Zs',
      'quota-proxy keys reset key_4hXcQ0m2VtYb7LrKp9Zs --quota 2000 --yes',
    )
  addRotate(keys)
  addDelete(keys)
}

function addDelete(keys: CliCommand): void {
  keys
    .command('delete')
    .summary('delete a key')
    .description(
      'Delete a key for good. Every call with it is refused from then on; what it has used stays in the reports.',
    )
    .argument('[key]', KEY_ARGUMENT)
    .option('--tag <tag>', 'all keys with this tag')
    .option('--yes', 'do it without asking')
    .option('--dry-run', 'only say what would be done')
    .json()
    .usesApi(deleteKeys)
    .examples(
      'quota-proxy keys delete key_4hXcQ0m2VtYb7LrKp9Zs',
      'quota-proxy keys delete trial-user-1 --dry-run',
      'quota-proxy keys delete --tag course-2026 --yes',
    )
}

async function deleteKeys(run: Run<BulkOptions>, argument: string | undefined): Promise<void> {
  const { api, options, show } = run
  const remove = ({ id }: Key) => api.ask('DELETE /admin/keys/:key', { key: id })
  const { key: given, tag } = selected(argument, options.tag)
  if (tag !== undefined) {
    const keys = await keysTagged(run, tag, 'Delete')
    if (keys) await doEach(run, keys, 'deleted', remove)
    return
  }
  const key = await one(api, given)
  if (await isWanted(run, key, `Delete ${nameOf(key)}? ${balanceOf(key)}.`))
    await show(await remove(key), () => `${nameOf(key)} is deleted.\n`)
}

function addRotate(keys: CliCommand): void {
  keys
    .command('rotate')
    .summary('give a key a new secret')
    .description(
      'Give a key a new secret, which is shown this once. Its id, limits and what was used stay. The old secret is refused at once, or when the grace is over.',
    )
    .argument('<key>', KEY_ARGUMENT)
    .option('--grace <duration>', 'how long the old secret still works, such as 24h', readSeconds)
    .asksFirst<Key, ConfirmedOptions & { readonly grace?: number }>({
      find,
      question: (key, { grace = 0 }) =>
        `Give ${nameOf(key)} a new secret? The old one is refused ${grace > 0 ? `in ${span(grace)}` : 'at once'}.`,
      async act({ session, api, options, show }, { id: key }) {
        const body = fieldsOf(options, { grace: 'grace_seconds' })
        await show(await api.ask('POST /admin/keys/:key/rotate', { key }, body), keyRenderer(api))
        session.io.err(SHOWN_ONCE)
      },
    })
    .examples(
      'quota-proxy keys rotate key_4hXcQ0m2VtYb7LrKp9Zs --grace 24h',
      'quota-proxy keys rotate key_4hXcQ0m2VtYb7LrKp9Zs --yes --json | jq -r .key',
    )
}
