/** Every file of tests that asks a server anything runs on both engines, unless a list says why not. */
import { expect, test } from 'bun:test'
import packageJson from '../../package.json'
import { LEFT_OUT, postgresSuites, testFiles } from '../support/postgres-suites.ts'

test('a file is left out on PostgreSQL by its name, once, and with a reason', () => {
  const all = testFiles()
  const left = LEFT_OUT.flatMap((list) => Object.entries(list))
  for (const [file, reason] of left) {
    expect(all).toContain(file)
    expect(reason.length).toBeGreaterThan(10)
  }
  const names = left.map(([file]) => file)
  expect(new Set(names).size).toBe(names.length)
  expect(postgresSuites(true)).toEqual(
    all.filter((file) => !names.includes(file)).map((file) => `test/${file}`),
  )
  const each = postgresSuites(false)
  expect(each.length).toBeGreaterThan(15)
  for (const file of each) expect(postgresSuites(true)).toContain(file)
})

test('a run of all tests has those on PostgreSQL in it', () => {
  const { test: all, 'test:postgres': onPostgres } = packageJson.scripts
  expect(all).toContain('bun run test:postgres')
  expect(onPostgres).toContain('DATABASE=postgres')
  expect(onPostgres).toContain('$(bun test/support/postgres-suites.ts)')
})
