/**
 * Which files of tests run on PostgreSQL, too: all in these folders but those that are named here, each with its reason. As a
 * program, prints them.
 */
import { join } from 'node:path'
import { Glob } from 'bun'

const ROOT = join(import.meta.dir, '../..')

type Reasons = Readonly<Record<string, string>>

const FOLDERS = ['http', 'proxy', 'cases', 'sdk', 'e2e'] as const

/** What they test is a database in a file, or what is done with files. */
const OF_FILES: Reasons = {
  'e2e/backup.test.ts': 'copies of a file; test/postgres/backup.test.ts has those of PostgreSQL',
  'e2e/backup-storage.test.ts': 'copies of a file, sent to storage',
  'e2e/commands-progress.test.ts': 'what takes long on a large file',
  'e2e/database-files.test.ts': 'files that are moved, replaced or linked',
  'e2e/doctor.test.ts': 'faults in a file; test/postgres/doctor.test.ts has those of PostgreSQL',
  'e2e/durability.test.ts': 'what a file holds after a loss of power',
  'e2e/operations-doc.test.ts': 'a document whose commands name the file',
  'e2e/readme.test.ts': 'a document that begins with the file',
  'e2e/restore.test.ts': 'copies of a file, put back',
  'e2e/scripts-backup.test.ts': 'a script that copies the file',
  'e2e/scripts-compose.test.ts': 'scripts that look for the file in a container',
  'e2e/scripts-configure.test.ts': 'scripts that set where the file and its copies lie',
  'e2e/scripts-persistence.test.ts': 'a script that looks for the file',
  'e2e/scripts.test.ts': 'a script that examines the file',
  'e2e/seed-operations.test.ts': 'a guide that names the file',
  'e2e/selftest.test.ts': 'it starts servers on files by itself',
  'e2e/storage-failures.test.ts': 'disks that are full, read-only or broken under the file',
  'e2e/upgrade.test.ts': 'stored files of older versions',
  'http/backups.test.ts': 'copies of a file, made by the server',
}

/** They say by themselves which engine they are on, in every run. */
const OF_BOTH: Reasons = {
  'e2e/migrate-data.test.ts': 'it moves from each engine to the other',
  'e2e/replica-changes.test.ts': 'replicas of a database of its own',
  'e2e/replica-upgrade.test.ts': 'replicas of two versions, of a database of its own',
  'e2e/replicas.test.ts': 'replicas of servers of its own, which it kills',
  'e2e/secret.test.ts': 'a key in a file, and one that replicas share',
  'e2e/selftest-replicas.test.ts': 'it gives the self-test a server of its own',
  'e2e/status.test.ts': 'what is told of each engine',
}

/**
 * What a database decides, in each run. `EVERY=1 bun run test:postgres` runs all that is not left out above: some minutes more, for
 * whoever changes the engine.
 */
const IN_EACH_RUN: readonly string[] = [
  'e2e/clock.test.ts',
  'e2e/commands-reports.test.ts',
  'e2e/restart.test.ts',
  'e2e/smoke.test.ts',
  'http/adjustments.test.ts',
  'http/calls.test.ts',
  'http/credit.test.ts',
  'http/key-list.test.ts',
  'http/key-rotation.test.ts',
  'http/keys.test.ts',
  'http/me.test.ts',
  'http/prices.test.ts',
  'http/upstreams.test.ts',
  'http/usage.test.ts',
  'proxy/authentication.test.ts',
  'proxy/deferred-work.test.ts',
  'proxy/prices.test.ts',
  'proxy/quota-headers.test.ts',
  'proxy/remembered-keys.test.ts',
  'proxy/scopes.test.ts',
  'proxy/token-streams.test.ts',
]

/** Their answers do not depend on the database. */
const OF_NEITHER: Reasons = {
  'cases/cases.test.ts': 'what is read of answers and requests',
  'e2e/crowd.test.ts': 'shares of slots and memory',
  'e2e/hosts.test.ts': 'names and addresses of a server',
  'e2e/listeners.test.ts': 'addresses of listeners',
  'e2e/readable-log.test.ts': 'lines for people',
  'e2e/recipes.test.ts': 'a document whose commands are typed in',
  'e2e/recipes-clients.test.ts': 'a document whose commands are typed in',
  'e2e/recipes-fronts.test.ts': 'a document whose commands are typed in',
  'http/docs.test.ts': 'pages that a browser is shown',
  'http/openapi.test.ts': 'the API document',
  'http/schema-conformance.test.ts': 'the API document, and the server held to it',
  'proxy/cors.test.ts': 'what pages may ask',
  'proxy/hostile-answers.test.ts': 'what is read of answers',
  'proxy/passing.test.ts': 'what passes of a request and of its answer',
  'e2e/binary.test.ts': 'how the binary is built',
  'e2e/cli.test.ts': 'words of commands, and settings',
  'e2e/commands-completion.test.ts': 'completions in shells',
  'e2e/commands-terminal.test.ts': 'what a terminal is asked and told',
  'e2e/commands-width.test.ts': 'columns in terminals of any width',
  'e2e/tls.test.ts': 'certificates',
  'e2e/tracing.test.ts': 'what a collector of traces is told',
  'proxy/big-streams.test.ts': 'bytes that pass, and the memory that they take',
  'proxy/egress-names.test.ts': 'names and addresses of targets',
  'proxy/egress-sentinel.test.ts': 'names and addresses of targets',
  'proxy/wire-table.test.ts': 'what passes of a request and of its answer',
  'sdk/agents.test.ts': 'what a client of a vendor sends and reads',
  'sdk/ai-anthropic.test.ts': 'what a client of a vendor sends and reads',
  'sdk/ai-google.test.ts': 'what a client of a vendor sends and reads',
  'sdk/ai-openai.test.ts': 'what a client of a vendor sends and reads',
  'sdk/cohere.test.ts': 'what a client of a vendor sends and reads',
  'sdk/google-genai.test.ts': 'what a client of a vendor sends and reads',
  'sdk/mistral.test.ts': 'what a client of a vendor sends and reads',
  'sdk/ollama.test.ts': 'what a client of a vendor sends and reads',
}

export const LEFT_OUT = [OF_FILES, OF_BOTH, OF_NEITHER] as const

/** Those that are to run on PostgreSQL, from the root of the repository; all of them, or those of each run. */
export function postgresSuites(isEvery: boolean): string[] {
  return testFiles()
    .filter((file) => !LEFT_OUT.some((list) => file in list))
    .filter((file) => isEvery || IN_EACH_RUN.includes(file))
    .map((file) => `test/${file}`)
}

/** All of these folders. */
export function testFiles(): string[] {
  const files = FOLDERS.flatMap((folder) => [
    ...new Glob(`${folder}/**/*.test.ts`).scanSync(join(ROOT, 'test')),
  ])
  return files.toSorted()
}

if (import.meta.main)
  process.stdout.write(`${postgresSuites(process.env['EVERY'] === '1').join('\n')}\n`)
