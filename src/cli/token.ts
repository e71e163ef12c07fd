/**
 * `quota-proxy token rotate`: a new admin token in the data directory. The old one is refused from the moment that a running
 * server has taken the new one, which is waited for. The token itself is in its file and is not printed.
 */
import type { Command } from 'commander'
import { loadConfig } from '../config/load.ts'
import { replaceAdminToken } from '../data-dir/admin-token.ts'
import { examples } from './admin.ts'
import { printProblems } from './config.ts'
import { confirm } from './confirm.ts'
import { asJson } from './input.ts'
import type { Session } from './program.ts'
import { connects, send, socketOf } from './wire.ts'

type Options = { readonly yes?: boolean; readonly json?: boolean }

/** The server looks every two seconds. */
const TAKEN_MS = 15_000
/** Slower than what the server would slow down as guessing. */
const POLL_MS = 500

export function addToken(program: Command, session: Session): void {
  const token = program
    .command('token')
    .summary('manage the admin token')
    .description('Manage the admin token that this server has made itself.')
  const command = token
    .command('rotate')
    .summary('make a new admin token')
    .description(
      'Make a new admin token, in the file admin-token of the data directory. A running server takes it within seconds, and refuses the old one. A token that you gave with ADMIN_TOKEN or ADMIN_TOKEN_FILE is yours to change.',
    )
    .option('--yes', 'do it without asking')
    .option('--json', 'print JSON')
    .action(async (options: Options) => rotate(session, options))
  examples(command, 'quota-proxy token rotate', 'quota-proxy token rotate --yes')
}

async function rotate(session: Session, options: Options): Promise<void> {
  const { env, io } = session
  const loaded = loadConfig(env)
  if (!loaded.ok) {
    session.exitCode = printProblems(loaded.problems, io)
    return
  }
  const { config } = loaded
  const question = `Make a new admin token in ${config.dataDir}? Whoever uses the old one is refused.`
  // What is not to be changed here is not asked about.
  const isStored = config.adminToken === undefined
  if (isStored && !(await confirm(session, question, options))) {
    session.exitCode = 1
    return
  }
  const { token, path } = replaceAdminToken(config)
  const socket = socketOf(config.dataDir)
  const isRunning = await connects(socket)
  const isTaken = isRunning && (await untilTaken(socket, token))
  if (isRunning && !isTaken) session.exitCode = 1
  if (options.json) io.out(asJson({ path, running: isRunning, taken: isTaken }))
  else io.out(`The new admin token is in ${path}.\n`)
  if (isTaken) io.err('The running server takes it, and refuses the old one.\n')
  else if (isRunning)
    io.err('The running server has not taken it. Look at its log, or send it SIGHUP.\n')
  else io.err('No server runs here; the next start takes it.\n')
}

/** On the control socket no token is needed, but one that is sent has to be right. */
async function untilTaken(socket: string, token: string): Promise<boolean> {
  const deadline = performance.now() + TAKEN_MS
  while (performance.now() < deadline) {
    const target = { base: 'http://localhost', socket, token }
    const { status } = await send(target, 'GET', '/admin/keys?limit=1')
    if (status === 200) return true
    await Bun.sleep(POLL_MS)
  }
  return false
}
