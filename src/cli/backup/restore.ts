/** `quota-proxy restore`: makes a backup the database, after showing what that changes. */
import { openSecretKeys } from '../../data-dir/secret-key.ts'
import { systemClock } from '../../lib/clock.ts'
import { keyId } from '../../lib/seal.ts'
import type { Prepared, Restored } from '../../modules/backups/restore.ts'
import type { CliCommand, JsonOption } from '../command.ts'
import { confirm } from '../confirm.ts'
import { watchBytes } from '../output/progress.ts'
import type { Session } from '../session.ts'
import { contents, openBackups, unbalanced } from './open.ts'

type Options = JsonOption & {
  readonly identityFile?: string
  readonly dryRun?: boolean
  readonly yes?: boolean
}

export function addRestore(program: CliCommand): void {
  program
    .command('restore')
    .summary('make a backup the database')
    .description(
      'Make a backup the database. Stop every server first. The backup is unpacked beside the database and examined, and only then takes its place, all at once; the database of before stays beside it (on PostgreSQL, in a schema of its own).',
    )
    .argument('<backup>', 'its name, the path of a file, or latest')
    .option('--identity-file <file>', 'file with the private key of age, if it is encrypted')
    .option('--dry-run', 'examine it and show what would change, but change nothing')
    .option('-y, --yes', 'do not ask')
    .json()
    .addHelpText('after', NOTE)
    .action((reference: string, options: Options) => run(program.session, reference, options))
    .examples(
      'quota-proxy restore latest --dry-run',
      'quota-proxy restore quota-20261123T031700Z-5f0c3a.db.zst',
      'quota-proxy restore /mnt/copy.db.zst.age --identity-file key.txt --yes',
    )
}

async function run(
  session: Session,
  reference: string,
  { identityFile, dryRun = false, json = false, yes }: Options,
): Promise<void> {
  const { io } = session
  const { config, settings, engine } = await openBackups(session)
  const [{ restore }, { readIdentities }] = await Promise.all([
    import('../../modules/backups/restore.ts'),
    import('../../modules/backups/pack.ts'),
  ])
  const identities = identityFile === undefined ? [] : readIdentities(identityFile)
  const known = openSecretKeys(config).all().map(keyId)
  const watch = watchBytes(session, 'restored')
  const restored = await restore(
    settings,
    engine,
    { reference, identities, at: systemClock() },
    async (prepared) => {
      watch.end()
      if (!json) io.out(describe(prepared, known))
      if (dryRun) return false
      return await confirm(session, 'Make it the database?', yes)
    },
    watch,
  ).finally(watch.end)
  const { replaced } = restored
  if (json) io.out(`${JSON.stringify(show(restored, known, dryRun))}\n`)
  else if (replaced) io.out(tell(replaced))
  if (!replaced && !dryRun) session.exitCode = 1
}

function describe({ createdAt, before, after }: Prepared, known: readonly string[]): string {
  const of = createdAt === null ? '' : ` of ${createdAt}`
  const now = before ? contents(before) : 'nothing that can be read'
  const missing = missingSeals(after?.seals ?? [], known)
  const lost = missing.length
    ? `warning: credentials in it are sealed with the secret key ${missing.join(', ')}, which is not here. Put that key back before the start.\n`
    : ''
  const held = after ? contents(after) : 'what nobody has noted'
  return `The backup${of} holds ${held}; the database now holds ${now}.
Units that were used since the backup can be used again, and what was changed since is undone.
${lost}${unbalanced(after?.unbalanced ?? 0)}`
}

function tell({ kept, keptLog }: NonNullable<Restored['replaced']>): string {
  if (kept === null) return 'The backup is the database now.\n'
  const log = keptLog ? ', with its log beside it, which could not be folded in' : ''
  return `The backup is the database now. The one of before is ${kept}${log}; remove it when it is of no more use.\n`
}

function show(
  { createdAt, before, after, replaced }: Restored,
  known: readonly string[],
  dryRun: boolean,
) {
  return {
    restored: replaced !== null,
    dry_run: dryRun,
    created_at: createdAt,
    before,
    after,
    missing_secret_keys: missingSeals(after?.seals ?? [], known),
    kept: replaced?.kept ?? null,
  }
}

function missingSeals(seals: readonly string[], known: readonly string[]): string[] {
  return seals.filter((seal) => !known.includes(seal))
}

const NOTE = `
Counters are restored as they were: units that holders have used since the backup
can be used again, keys that were issued since are gone, and keys that were
revoked since work again.`
