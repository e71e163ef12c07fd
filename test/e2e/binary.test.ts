/**
 * The file that is shipped, run as an operator runs it: alone, from a directory that may be hostile.
 * What lies in that directory must be neither settings nor code, since the process holds credentials.
 */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'

const ROOT = resolve(import.meta.dir, '../..')
const BINARY = join(ROOT, 'dist/quota-proxy')
const MARKER = 'preload-has-run'

let directory: string

beforeAll(async () => {
  if (!(await Bun.file(BINARY).exists())) throw new Error('There is no binary: bun run build')
  directory = await mkdtemp(join(tmpdir(), 'quota-proxy-binary-'))
  await Bun.write(join(directory, '.env'), 'PORT=1\nLOG_LEVEL=nonsense\n')
  await Bun.write(join(directory, 'bunfig.toml'), 'preload = ["./preload.ts"]\n')
  await Bun.write(join(directory, 'preload.ts'), `await Bun.write('${MARKER}', '')\n`)
})

afterAll(() => rm(directory, { recursive: true }))

test('the version names the release, the commit and the runtime', () => {
  const { stdout } = run([BINARY, '--version'])
  expect(stdout).toMatch(/^quota-proxy \d+\.\d+\.\d+ \(commit \S+, Bun \d+\.\d+\.\d+\)\n$/)
  expect(stdout).not.toContain('commit dev')
})

test('a .env in the working directory sets nothing', () => {
  expect(port({})).toEqual({ value: 8787, source: 'default' })
})

test('the environment itself does', () => {
  expect(port({ PORT: '1' })).toEqual({ value: 1, source: 'environment' })
})

test('a preload in a bunfig.toml in the working directory is not run', async () => {
  run([BINARY, 'config'])
  expect(await Bun.file(join(directory, MARKER)).exists()).toBeFalse()
})

test('that preload would run in a program that reads bunfig.toml', async () => {
  await Bun.write(join(directory, 'empty.ts'), '')
  run([process.execPath, 'empty.ts'])
  const marker = Bun.file(join(directory, MARKER))
  expect(await marker.exists()).toBeTrue()
  await marker.delete()
})

test('the binary does not name the directory that it was built in', async () => {
  const bytes = Buffer.from(await Bun.file(BINARY).arrayBuffer())
  expect(bytes.indexOf(`${ROOT}/`)).toBe(-1)
  expect(bytes.indexOf('src/main.ts')).not.toBe(-1)
})

function run(command: string[], env: Record<string, string> = {}): { stdout: string } {
  const child = Bun.spawnSync(command, { cwd: directory, env })
  expect(child.stderr.toString()).toBe('')
  expect(child.exitCode).toBe(0)
  return { stdout: child.stdout.toString() }
}

function port(env: Record<string, string>): { value: unknown; source: unknown } {
  const { settings } = JSON.parse(run([BINARY, 'config', '--json'], env).stdout) as {
    settings: { name: string; value: unknown; source: unknown }[]
  }
  const { value, source } = settings.find(({ name }) => name === 'PORT') ?? {}
  return { value, source }
}
