/** Databases of a given size, with a schema made by the binary itself. */
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { BINARY } from '../servers/quota-proxy.ts'
import type { Workspace } from '../workspace.ts'

export type Size = { readonly keys: number; readonly calls: number }

export type Dataset = {
  readonly dataDir: string
  readonly file: string
  readonly fileMiB: number
  /** A file with the secrets of so many keys, spread evenly over all of them. */
  keysFile(count: number): string
}

/** The calls of a database were made over so many days up to now; they are younger than what is pruned by age. */
export const DAYS = 80

export async function createDataset(
  workspace: Workspace,
  name: string,
  { keys, calls }: Size,
): Promise<Dataset> {
  const dataDir = join(workspace.directory, name)
  const file = join(dataDir, 'quota.db')
  await migrate(workspace, dataDir)

  const secretsFile = join(dataDir, 'secrets.txt')
  const script = join(import.meta.dir, 'fill.ts')
  const sizes = [String(keys), String(calls)]
  const fill = workspace.spawn([process.execPath, script, file, ...sizes, secretsFile])
  if ((await fill.exited) !== 0) throw new Error(`${file} could not be filled`)
  const secrets = readFileSync(secretsFile, 'utf8').split('\n')

  return {
    dataDir,
    file,
    fileMiB: statSync(file).size / 2 ** 20,
    keysFile(count) {
      const path = join(dataDir, `keys-${count}.txt`)
      const every = secrets.length / count
      const chosen = Array.from({ length: count }, (_, i) => secrets[Math.floor(i * every)])
      writeFileSync(path, chosen.join('\n'))
      return path
    },
  }
}

/** The first start makes the schema. */
async function migrate(workspace: Workspace, dataDir: string): Promise<void> {
  const env = { HOST: '127.0.0.1', PORT: '0', DATA_DIR: dataDir, LOG_FORMAT: 'json' }
  const child = workspace.spawn([BINARY, 'serve'], env)
  const decoder = new TextDecoder()
  let log = ''
  let stopping = false
  for await (const chunk of child.stdout) {
    log += decoder.decode(chunk, { stream: true })
    // Once: a second signal would stop it at once.
    if (!stopping && log.includes('is listening')) {
      stopping = true
      child.kill('SIGTERM')
    }
  }
  if ((await child.exited) !== 0) throw new Error(`quota-proxy did not start:\n${log}`)
}
