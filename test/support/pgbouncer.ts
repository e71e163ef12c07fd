/**
 * A real PgBouncer, of the Debian package, in front of a server of the tests: in transaction mode, where each transaction may
 * go to another connection than the one before, and strict about what a client asks for.
 */
import { chmodSync, chownSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Subprocess } from 'bun'
import { asOther, OTHER_USER, sql } from './postgres.ts'
import { closeWithRun, temporaryDirectory } from './server.ts'

const PROGRAM = Bun.which('pgbouncer', { PATH: `${process.env['PATH']}:/usr/sbin` })
if (PROGRAM === null && process.env['CI'])
  throw new Error('There is no pgbouncer: install the Debian package pgbouncer.')

/** Where it is missing, what needs it is skipped. */
export const hasPgbouncer = PROGRAM !== null

/** Fewer than any client has, so that they are shared. */
const SERVER_CONNECTIONS = 5
const START_MS_MAX = 10_000

const running = new Set<Subprocess>()
closeWithRun(async () => {
  for (const child of running) child.kill('SIGKILL')
  await Promise.all([...running].map((child) => child.exited))
})

/** Resolves with the port. `user` has that password on the server, too. */
export async function startPgbouncer(
  serverPort: number,
  { user, password }: { readonly user: string; readonly password: string },
  mode: 'transaction' | 'statement' = 'transaction',
): Promise<number> {
  const directory = temporaryDirectory()
  chmodSync(directory, 0o755)
  const port = freePort()
  const config = join(directory, 'pgbouncer.ini')
  const users = join(directory, 'users')
  writeFileSync(users, `"${user}" "${password}"\n`, { mode: 0o600 })
  if (process.getuid?.() === 0) chownSync(users, OTHER_USER, OTHER_USER)
  writeFileSync(
    config,
    `[databases]
* = host=127.0.0.1 port=${serverPort}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = ${users}
pool_mode = ${mode}
default_pool_size = ${SERVER_CONNECTIONS}
max_client_conn = 500
server_login_retry = 0.1
`,
  )
  const quiet = { stdin: 'ignore', stdout: 'ignore', stderr: 'ignore' } as const
  const child = Bun.spawn([...asOther(), PROGRAM ?? '', '-q', config], quiet)
  running.add(child)
  const address = `postgres://${user}:${encodeURIComponent(password)}@127.0.0.1:${port}/postgres`
  const deadline = performance.now() + START_MS_MAX
  while (!(await answers(address))) {
    if (child.exitCode !== null || performance.now() > deadline)
      throw new Error('pgbouncer did not start')
    await Bun.sleep(20)
  }
  return port
}

function answers(url: string): Promise<boolean> {
  return sql(url, 'SELECT 1').then(
    () => true,
    () => false,
  )
}

function freePort(): number {
  const listener = Bun.listen({ hostname: '127.0.0.1', port: 0, socket: { data() {} } })
  const { port } = listener
  listener.stop(true)
  return port
}
