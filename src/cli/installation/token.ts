/**
 * `quota-proxy token rotate`: makes a new admin token in the data directory, and waits until a
 * running server has taken it: from then on that server refuses the old one. It never prints the
 * token.
 */
import { replaceAdminToken } from '../../data-dir/admin-token.ts'
import type { CliCommand, JsonOption } from '../command.ts'
import { confirm } from '../confirm.ts'
import type { Admin } from '../connect/speak.ts'
import { connectRunning } from '../connect.ts'
import { asJson } from '../output/list.ts'
import { type Session, settings } from '../session.ts'

type Options = JsonOption & { readonly yes?: boolean }

/** The server looks every two seconds. */
const TAKEN_MS = 15_000
/** Slower than what the server would slow down as guessing. */
const POLL_MS = 500

export function addToken(program: CliCommand): void {
  program
    .command('token')
    .summary('manage the admin token')
    .description('Manage the admin token that this server has made itself.')
    .command('rotate')
    .summary('make a new admin token')
    .description(
      'Make a new admin token, in the file admin-token of the data directory. A running server takes it within seconds, and refuses the old one. A token that you gave with ADMIN_TOKEN or ADMIN_TOKEN_FILE is yours to change.',
    )
    .option('--yes', 'do it without asking')
    .json()
    .action((options: Options) => rotate(program.session, options))
    .examples('quota-proxy token rotate', 'quota-proxy token rotate --yes')
}

async function rotate(session: Session, { yes, json }: Options): Promise<void> {
  const { io } = session
  const config = settings(session)
  const question = `Make a new admin token in ${config.dataDir}? Whoever uses the old one is refused.`
  // What is not to be changed here is not asked about.
  const isStored = config.adminToken === undefined
  if (isStored && !(await confirm(session, question, yes))) {
    session.exitCode = 1
    return
  }
  const { token, path } = replaceAdminToken(config)
  // The control socket needs no token, but one that is sent has to be right.
  const running = await connectRunning(config, token)
  const isRunning = running !== null
  const isTaken = isRunning && (await untilTaken(running))
  if (isRunning && !isTaken) session.exitCode = 1
  if (json) io.out(asJson({ path, running: isRunning, taken: isTaken }))
  else io.out(`The new admin token is in ${path}.\n`)
  if (isTaken) io.err('The running server takes it, and refuses the old one.\n')
  else if (isRunning)
    io.err('The running server has not taken it. Look at its log, or send it SIGHUP.\n')
  else io.err('No server runs here; the next start takes it.\n')
}

async function untilTaken(running: Admin): Promise<boolean> {
  const deadline = performance.now() + TAKEN_MS
  while (performance.now() < deadline) {
    const { status } = await running.request('GET', '/admin/keys?limit=1')
    if (status === 200) return true
    await Bun.sleep(POLL_MS)
  }
  return false
}
