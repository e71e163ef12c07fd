/**
 * `quota-proxy secret rotate`: seals every credential in the database with another key. Whatever
 * step it dies at, the keys that are there can still open every credential, and running it again
 * completes the rotation.
 */
import type { Config } from '../../config/options.ts'
import { type KeyFile, newSecretKey, openSecretKeys } from '../../data-dir/secret-key.ts'
import { readDatabaseUrl } from '../../domain/database-url.ts'
import type { Resealed } from '../../domain/upstream.ts'
import type { CliCommand, JsonOption } from '../command.ts'
import { openLocal } from '../local-store.ts'
import { type Session, settings } from '../session.ts'

type Options = JsonOption & { readonly forgetLost?: boolean }

export function addSecret(program: CliCommand): void {
  program
    .command('secret')
    .summary('manage the key that seals credentials')
    .description('Manage the key that seals the credentials of upstreams in the database.')
    .command('rotate')
    .summary('seal every credential with a new key')
    .description(
      'Make a new secret key, seal every credential with it, and forget the old ones. Stop the server first; replicas that share PostgreSQL go on, once all have the new key and the old one. Keys that you gave with SECRET_KEY or SECRET_KEY_FILE are not changed: put a new one before the others, and every credential is sealed with that.',
    )
    .option('--forget-lost', 'remove credentials that no key here can open')
    .json()
    .addHelpText('after', EXAMPLES)
    .action((options: Options) => rotate(program.session, options))
}

/**
 * Writes the new key to the disk before anything is sealed with it, and keeps the old ones until
 * nothing needs them.
 * `reseal` uses the first of the keys that `file` holds, and has committed when it returns.
 */
export async function rotateKeyFile<T>(file: KeyFile, reseal: () => Promise<T>): Promise<T> {
  const key = newSecretKey()
  file.write([key, ...file.read()])
  const done = await reseal()
  file.write([key])
  return done
}

async function rotate(session: Session, { forgetLost = false, json }: Options): Promise<void> {
  const config = settings(session)
  const given = openSecretKeys(config)
  const { file } = given
  await refuseInVain(config, file !== null)
  const keys = file ? { all: () => file.read(), create: newSecretKey } : given
  // Refuses while a server runs: it would go on with the old key. Old keys go when it has returned;
  // a loss of power must not bring back what they have sealed.
  const store = await openLocal({ ...config, durability: 'full' }, keys, { isResealing: true })
  try {
    const reseal = () => store.upstreams.reseal({ forgetLost })
    const done = await (file ? rotateKeyFile(file, reseal) : reseal())
    session.io.out(json ? `${JSON.stringify(done)}\n` : render(done, file !== null))
  } finally {
    await store.close()
  }
}

/** A key in a file of one replica would be unknown to the others. */
async function refuseInVain(config: Config, hasFile: boolean): Promise<void> {
  const database = readDatabaseUrl(config.databaseUrl)
  if (database.kind === 'postgres') {
    if (!hasFile) return
    throw new Error(
      'Replicas share the secret key. Give all of them a new one before the old one, with SECRET_KEY or SECRET_KEY_FILE, and run this with the same.',
    )
  }
  if (database.kind === 'file' && (await Bun.file(database.path).exists())) return
  throw new Error(
    'There is no database file, so nothing is sealed. Set DATA_DIR or DATABASE_URL to the one that is served.',
  )
}

function render({ sealed, forgotten }: Resealed, isNew: boolean): string {
  const lost = forgotten.map(
    (name) => `The credential of ${name} is gone; give it a new one with PATCH.\n`,
  )
  const what = sealed === 1 ? '1 credential is' : `${sealed} credentials are`
  const keys = isNew
    ? 'with a new key. Backups of before need the old one.'
    : 'with the first key. The others are only needed for backups of before.'
  return `${what} sealed ${keys}\n${lost.join('')}`
}

const EXAMPLES = `
Examples:
  quota-proxy secret rotate
  quota-proxy secret rotate --json
  SECRET_KEY="$NEW,$OLD" quota-proxy secret rotate`
