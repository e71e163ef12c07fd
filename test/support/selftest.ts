/** Runs `quota-proxy selftest` in a directory of its own. */
import { runCommand } from './command.ts'
import { COMMAND, temporaryDirectory } from './server.ts'

/** Longer than any run that is not stuck, on a machine with other work. */
export const RUN_MS_MAX = 300_000

export async function selftest(args: readonly string[], command: readonly string[] = COMMAND) {
  const temporary = temporaryDirectory()
  const env = { TMPDIR: temporary }
  return { ...(await runCommand([...command, 'selftest', ...args], env, temporary)), temporary }
}
