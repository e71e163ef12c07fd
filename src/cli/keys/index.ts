/** `quota-proxy keys`, and `keys create`: a new secret goes to standard output, nowhere else. */
import type { AdminOptions, CliCommand, Run } from '../command.ts'
import { readSecret } from '../input.ts'
import { addKeyChanges } from './change.ts'
import { addKeyEnds } from './end.ts'
import { bodyOf, type FieldOptions, keyFields, readQuota } from './fields.ts'
import { addKeyImport } from './import/command.ts'
import { addKeyReaders } from './read.ts'
import { keyRenderer, SHOWN_ONCE } from './show.ts'
import { warnOfUnpriced } from './unpriced.ts'

export function addKeys(program: CliCommand): void {
  const keys = program
    .command('keys')
    .summary('issue and manage keys')
    .description('Issue, look at, change and end keys.')
  addKeyCreate(keys)
  addKeyReaders(keys)
  addKeyChanges(keys)
  addKeyEnds(keys)
  addKeyImport(keys)
}

type Options = AdminOptions &
  FieldOptions & { readonly keyFile?: string; readonly disabled?: boolean }

function addKeyCreate(keys: CliCommand): void {
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
    .json()
    .usesApi(create, { creates: true })
    .examples(
      'quota-proxy keys create trial-user-1 --quota 1000 --expires 30d',
      'quota-proxy keys create team-a --quota unlimited --limit tokens=1000000/month --tag team',
      'quota-proxy keys create nightly --quota 100 --window day --json | jq -r .key',
    )
}

async function create(run: Run<Options>, name: string): Promise<void> {
  const { session, api, options, show } = run
  const { keyFile, disabled } = options
  const body = {
    ...(await bodyOf(session, options)),
    name,
    ...(keyFile !== undefined && { key: await readSecret(keyFile) }),
    ...(disabled && { enabled: false }),
  }
  const key = await api.ask('POST /admin/keys', {}, body)
  await show(key, keyRenderer(api))
  session.io.err(SHOWN_ONCE)
  await warnOfUnpriced(run, [key])
}
