/** `quota-proxy keys create`. The new secret is on standard output, and nowhere else. */
import type { Command } from 'commander'
import { type AdminOptions, administer, ask, examples, withServer } from '../admin.ts'
import { asJson, readSecret } from '../input.ts'
import type { Session } from '../program.ts'
import { SHOWN_ONCE } from './end.ts'
import { bodyOf, type FieldOptions, keyFields, readQuota } from './fields.ts'
import { type Key, renderKey } from './show.ts'

type Options = AdminOptions &
  FieldOptions & {
    readonly prefix?: string
    readonly keyFile?: string
    readonly disabled?: boolean
  }

export function addKeyCreate(keys: Command, session: Session): void {
  const command = keys
    .command('create')
    .summary('issue a key')
    .description('Issue a key. It is shown this once and stored as a hash only.')
    .argument('<name>', 'for people; need not be unique')
    .requiredOption('--quota <number>', 'requests per window, or "unlimited"', readQuota)
  keyFields(command)
    .option('--disabled', 'refuse its calls until it is enabled')
    .option('--prefix <prefix>', 'what the key begins with, instead of KEY_PREFIX')
    .option('--key-file <file>', 'take over the key in this file; "-" is standard input')
    .action(async (name: string, options: Options) => {
      const { prefix, keyFile, disabled } = options
      const body = {
        ...(await bodyOf(options)),
        name,
        ...(prefix !== undefined && { prefix }),
        ...(keyFile !== undefined && { key: await readSecret(keyFile) }),
        ...(disabled && { enabled: false }),
      }
      const create = async (key: Key) => {
        session.io.out(options.json ? asJson(key) : await renderKey(key))
        session.io.err(SHOWN_ONCE)
      }
      await administer(
        session,
        options,
        async (admin) => create(await ask<Key>(admin, 'POST', '/admin/keys', body)),
        { creates: true },
      )
    })
  examples(
    withServer(command),
    'quota-proxy keys create trial-user-1 --quota 1000 --expires 30d',
    'quota-proxy keys create team-a --quota unlimited --limit tokens=1000000/month --tag team',
    'quota-proxy keys create nightly --quota 100 --window day --json | jq -r .key',
  )
}
