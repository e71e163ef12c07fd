/**
 * The file that is shipped, run as an operator runs it: alone, from a directory that may be hostile.
 * What lies in that directory must be neither settings nor code, since the process holds credentials.
 */
import { beforeAll, expect, test } from 'bun:test'
import { join, resolve } from 'node:path'
import { runCommand } from '../support/command.ts'
import { temporaryDirectory } from '../support/server.ts'

const ROOT = resolve(import.meta.dir, '../..')
const BINARY = join(ROOT, 'dist/quota-proxy')
const MARKER = 'preload-has-run'

let directory: string

beforeAll(async () => {
  if (!(await Bun.file(BINARY).exists())) throw new Error('There is no binary: bun run build')
  directory = temporaryDirectory()
  await Bun.write(join(directory, '.env'), 'PORT=1\nLOG_LEVEL=nonsense\n')
  await Bun.write(join(directory, 'bunfig.toml'), 'preload = ["./preload.ts"]\n')
  await Bun.write(join(directory, 'preload.ts'), `await Bun.write('${MARKER}', '')\n`)
})

test('the version names the release, the commit and the runtime', async () => {
  const out = await run([BINARY, '--version'])
  expect(out).toMatch(/^quota-proxy \d+\.\d+\.\d+ \(commit \S+, Bun \d+\.\d+\.\d+\)\n$/)
  expect(out).not.toContain('commit dev')
})

test('a .env in the working directory sets nothing', async () => {
  expect(await port({})).toEqual({ value: 8787, source: 'default' })
})

test('the environment itself does', async () => {
  expect(await port({ PORT: '1' })).toEqual({ value: 1, source: 'environment' })
})

test('a preload in a bunfig.toml in the working directory is not run', async () => {
  await run([BINARY, 'config'])
  expect(await Bun.file(join(directory, MARKER)).exists()).toBeFalse()
})

test('that preload would run in a program that reads bunfig.toml', async () => {
  await Bun.write(join(directory, 'empty.ts'), '')
  await run([process.execPath, 'empty.ts'])
  const marker = Bun.file(join(directory, MARKER))
  expect(await marker.exists()).toBeTrue()
  await marker.delete()
})

test('the binary does not name the directory that it was built in', async () => {
  const bytes = Buffer.from(await Bun.file(BINARY).arrayBuffer())
  expect(bytes.indexOf(`${ROOT}/`)).toBe(-1)
  expect(bytes.indexOf('src/main.ts')).not.toBe(-1)
})

/** What a command prints that ends well and complains of nothing. */
async function run(command: string[], env: Record<string, string> = {}): Promise<string> {
  const { out, err, code } = await runCommand(command, env, directory)
  expect({ err, code }).toEqual({ err: '', code: 0 })
  return out
}

async function port(env: Record<string, string>): Promise<{ value: unknown; source: unknown }> {
  const { settings } = JSON.parse(await run([BINARY, 'config', '--json'], env)) as {
    settings: { name: string; value: unknown; source: unknown }[]
  }
  const { value, source } = settings.find(({ name }) => name === 'PORT') ?? {}
  return { value, source }
}
