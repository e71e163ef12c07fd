/** `quota-proxy keys create`. The new secret is on standard output, and nowhere else. */
import type { Command } from 'commander'
import { type AdminOptions, adminCommand, type Run } from '../admin-command.ts'
import { readSecret } from '../input.ts'
import type { Session } from '../session.ts'
import { bodyOf, type FieldOptions, keyFields, readQuota } from './fields.ts'
import { renderKey, SHOWN_ONCE } from './show.ts'

type Options = AdminOptions &
  FieldOptions & { readonly keyFile?: string; readonly disabled?: boolean }

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
  const examples = [
    'quota-proxy keys create trial-user-1 --quota 1000 --expires 30d',
    'quota-proxy keys create team-a --quota unlimited --limit tokens=1000000/month --tag team',
    'quota-proxy keys create nightly --quota 100 --window day --json | jq -r .key',
  ]
  const work = async ({ api, options, show }: Run<Options>, name: string) => {
    const { keyFile, disabled } = options
    const key = await api.ask(
      'POST /admin/keys',
      {},
      {
        ...(await bodyOf(options)),
        name,
        ...(keyFile !== undefined && { key: await readSecret(keyFile) }),
        ...(disabled && { enabled: false }),
      },
    )
    await show(key, renderKey)
    session.io.err(SHOWN_ONCE)
  }
  adminCommand(session, command, { examples, creates: true }, work)
}
