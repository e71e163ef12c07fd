/**
 * Which files of tests run on PostgreSQL, too: all in these folders but those that are named here, each with its reason. As a
 * program, prints them.
 */
import { join } from 'node:path'
import { Glob } from 'bun'

const ROOT = join(import.meta.dir, '../..')

export const FOLDERS = ['http', 'proxy', 'cases', 'sdk', 'e2e'] as const

/** What they test is a database in a file, or what is done with files alone. */
export const OF_FILES: Readonly<Record<string, string>> = {
  'e2e/backup.test.ts': 'copies of a file; test/postgres/backup.test.ts has those of PostgreSQL',
  'e2e/backup-storage.test.ts': 'copies of a file, sent to storage',
  'e2e/commands-progress.test.ts': 'what takes long on a large file',
  'e2e/database-files.test.ts': 'files that are moved, replaced or linked',
  'e2e/doctor.test.ts': 'faults in a file; test/postgres/doctor.test.ts has those of PostgreSQL',
  'e2e/durability.test.ts': 'what a file holds after a loss of power',
  'e2e/migrate-data.test.ts': 'it moves between both engines by itself',
  'e2e/restore.test.ts': 'copies of a file, put back',
  'e2e/scripts-backup.test.ts': 'a script that copies the file',
  'e2e/scripts-compose.test.ts': 'scripts that look for the file in a container',
  'e2e/scripts-configure.test.ts': 'scripts that set where the file and its copies lie',
  'e2e/scripts-persistence.test.ts': 'a script that looks for the file',
  'e2e/scripts.test.ts': 'a script that examines the file',
  'e2e/secret.test.ts': 'a key in a file; of PostgreSQL it has a test of its own',
  'e2e/seed-operations.test.ts': 'a guide that names the file',
  'e2e/selftest.test.ts': 'it starts servers of its own, on the engine that it is given',
  'e2e/storage-failures.test.ts': 'disks that are full, read-only or broken under the file',
  'e2e/upgrade.test.ts': 'stored files of older versions',
  'http/backups.test.ts': 'copies of a file, made by the server',
}

/** They start no server, or ask it nothing that its database decides; on one engine they have shown it all. */
export const OF_EITHER: Readonly<Record<string, string>> = {}

/** Those that are to run on PostgreSQL, from the root of the repository. */
export function postgresSuites(): string[] {
  return testFiles()
    .filter((file) => !(file in OF_FILES) && !(file in OF_EITHER))
    .map((file) => `test/${file}`)
}

/** All of these folders. */
export function testFiles(): string[] {
  const files = FOLDERS.flatMap((folder) => [
    ...new Glob(`${folder}/**/*.test.ts`).scanSync(join(ROOT, 'test')),
  ])
  return files.toSorted()
}

if (import.meta.main) process.stdout.write(`${postgresSuites().join('\n')}\n`)
