/**
 * Plays a dump into a database, in one transaction: all of it is there when it resolves, or nothing. pg_restore writes it as
 * a script, and psql runs that; the last statement, which commits, is sent only when the script is known to be whole.
 */
import type { PostgresAddress } from '../../../domain/postgres-url.ts'
import { ended, environmentOf, type Programs } from './programs.ts'

export type Play = {
  readonly programs: Programs
  /** Of the server. */
  readonly major: number
  readonly address: PostgresAddress
  readonly file: string
  /** The schema of the dump; it must be there. */
  readonly schema: string
  /** SQL to be run before it, in the same transaction. */
  readonly before: string
}

/** Longer than the settings at the beginning of a script, and before the first row. */
const HEAD_BYTES = 2_048

/** A newer pg_restore sets this to what older servers do not know. */
const UNKNOWN_SETTING = /^SET transaction_timeout = 0;$/m
const TRANSACTION_TIMEOUT_MAJOR = 17

export async function play({
  programs,
  major,
  address,
  file,
  schema,
  before,
}: Play): Promise<void> {
  const { pg_restore, psql } = programs.paths
  const env = environmentOf(address, programs)
  const args = ['--no-owner', '--no-privileges', `--schema=${schema}`, '--file=-', file]
  const script = Bun.spawn([pg_restore, ...args], {
    env,
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
  })
  const runner = Bun.spawn(
    [psql, '--no-psqlrc', '--quiet', '--no-password', '--set=ON_ERROR_STOP=1', '--file=-'],
    { env, stdin: 'pipe', stdout: 'ignore', stderr: 'pipe' },
  )
  const isOld = major < TRANSACTION_TIMEOUT_MAJOR
  const written = write(script.stdout, runner.stdin, before, isOld).then(async () => {
    await ended(script, pg_restore)
    runner.stdin.write('\nCOMMIT;\n')
  })
  // Whichever way that ends: without the last statement nothing stays.
  const closed = written.finally(() => runner.stdin.end())
  const [ran, wrote] = await Promise.allSettled([ended(runner, psql), closed])
  script.kill()
  if (ran.status === 'rejected') throw ran.reason
  if (wrote.status === 'rejected') throw wrote.reason
}

async function write(
  script: ReadableStream<Uint8Array>,
  sink: Bun.FileSink,
  before: string,
  isOld: boolean,
): Promise<void> {
  sink.write(`BEGIN;\n${before}\n`)
  // Of an encoding that gives every byte back.
  let head: string | null = ''
  for await (const chunk of script) {
    if (head === null) sink.write(chunk)
    else {
      head += Buffer.from(chunk).toString('latin1')
      if (head.length >= HEAD_BYTES) head = passHead(sink, head, isOld)
    }
    await sink.flush()
  }
  if (head !== null) passHead(sink, head, isOld)
  await sink.flush()
}

function passHead(sink: Bun.FileSink, head: string, isOld: boolean): null {
  sink.write(Buffer.from(isOld ? head.replace(UNKNOWN_SETTING, '') : head, 'latin1'))
  return null
}
