/** docs/operations.md and docs/failure-modes.md, followed to the letter on a machine with systemd and the Debian package. */
import { describe, expect, test } from 'bun:test'
import { sessionBlocks } from '../support/document-session.ts'
import { machineObstacle, runInMachine } from '../support/machine.ts'
import { readDocument } from '../support/markdown.ts'
import { debianPackage } from '../support/package.ts'

const KEY = /key_4hXcQ0m2VtYb7LrKp9Zs/g

/** The name that the page gives to the command, and what a machine without sudo and without a reader needs. */
async function preface(): Promise<string> {
  const [name] =
    (await readDocument('docs/operations.md')).match(/^quota-proxy\(\) \{ sudo .*$/m) ?? []
  expect(name).toBeDefined()
  return `cd /srv
sudo() { if [ "$1" = -u ]; then runuser -u "$2" -- "\${@:3}"; else "$@"; fi; }
${name}
example_id() { quota-proxy keys list --json | grep -o 'key_[0-9A-Za-z]*' | head -n 1; }
`
}

async function page(path: string): Promise<string> {
  const blocks = sessionBlocks(await readDocument(path))
  expect(blocks.length).toBeGreaterThan(10)
  const commands = blocks.map((block) => block.commands.replaceAll(KEY, '"$(example_id)"'))
  return `${await preface()}${commands.join('\n')}`
}

const isBinary = process.env['TARGET'] === 'binary'
const obstacle = isBinary ? machineObstacle() : 'needs TARGET=binary'
describe.skipIf(obstacle !== null)(
  `on a machine with systemd${obstacle ? ` (${obstacle})` : ''}`,
  () => {
    test('every command of both pages works as it is written', async () => {
      const steps = {
        install: `dpkg --install /srv/quota-proxy.deb
        curl -fsS --retry 30 --retry-delay 1 --retry-connrefused localhost:8787/healthz
        echo sk-first-of-this-test >/srv/openai.key
        echo sk-second-of-this-test >/srv/new.key`,
        'docs/operations.md': await page('docs/operations.md'),
        'docs/failure-modes.md': await page('docs/failure-modes.md'),
      }
      const results = await runInMachine(steps, { 'quota-proxy.deb': await debianPackage() })
      const failed = results.filter(({ code }) => code !== 0)
      expect(failed.map(({ title, output }) => `${title}: ${output}`)).toEqual([])
      expect(results.length).toBe(3)
    }, 180_000)
  },
)
