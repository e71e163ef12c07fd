/** The commands of an operator on one installation, in each of the three ways that they reach it. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { runCommand } from './command.ts'
import { COMMAND, startServer, type TestServer, temporaryDirectory } from './server.ts'

export const WAYS = ['by its socket', 'by --url', 'without a server'] as const
export type Way = (typeof WAYS)[number]

export type Ran = { readonly out: string; readonly err: string; readonly code: number }

export type Operator = {
  run(args: readonly string[], stdin?: string): Promise<Ran>
  /** Adds `--json`, holds the command to success, and reads what it has printed. */
  json<T = Record<string, unknown>>(...args: readonly string[]): Promise<T>
  readonly server: TestServer
  readonly env: Readonly<Record<string, string>>
}

/** Without a server, one has served the directory before and is gone. */
export async function openOperator(way: Way): Promise<Operator> {
  const server = await startServer()
  if (way === 'without a server') await server.stop()
  const tokenFile = join(temporaryDirectory(), 'token')
  writeFileSync(tokenFile, `${server.adminToken}\n`)
  const isRemote = way === 'by --url'
  // From afar there is nothing of the installation but its address and its token.
  const env = { DATA_DIR: isRemote ? join(temporaryDirectory(), 'none') : server.dataDir }
  const extra = isRemote ? ['--url', server.url, '--token-file', tokenFile] : []
  const run = (args: readonly string[], stdin?: string) =>
    runCommand([...COMMAND, ...args, ...extra], env, undefined, stdin)
  return {
    run,
    server,
    env,
    async json<T>(...args: readonly string[]): Promise<T> {
      const { out, err, code } = await run([...args, '--json'])
      if (code !== 0) throw new Error(`${args.join(' ')} failed with ${code}: ${err}`)
      return JSON.parse(out) as T
    },
  }
}
