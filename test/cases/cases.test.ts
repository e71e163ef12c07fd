/**
 * What operators and clients really send and meet, each with its right value: `README.md` has the form. All cases share
 * one server and one scripted upstream, in which each has an upstream and a key of its own.
 */
import { afterAll, expect, test } from 'bun:test'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { settled } from '../support/books.ts'
import type { Case } from '../support/cases/form.ts'
import { runCase } from '../support/cases/run-case.ts'
import { startScriptedUpstream } from '../support/cases/scripted-upstream.ts'
import { startServer } from '../support/server.ts'

const files = readdirSync(import.meta.dir).filter((name) => name.endsWith('.json'))
const cases = files.flatMap(
  (name) => JSON.parse(readFileSync(join(import.meta.dir, name), 'utf8')) as Case[],
)
const server = await startServer()
const upstream = await startScriptedUpstream()

afterAll(async () => {
  await settled(server)
  const doctor = (await (await server.admin('GET', '/admin/doctor')).json()) as { ok: boolean }
  expect(doctor.ok).toBe(true)
})

test('every case has an id of its own', () => {
  const ids = cases.map(({ id }) => id.toLowerCase())
  expect(ids.filter((id, at) => ids.indexOf(id) !== at)).toEqual([])
})

/** Longer than the slowest case may take on a busy machine. */
const CASE_MS_MAX = 40_000

for (const one of cases) {
  const name = `${one.kind} ${one.id} ${one.title}`
  const run = async () => {
    const short = await runCase(one, server, upstream)
    // Tests run beside each other, so the message names its case.
    expect({ [one.id]: short }).toEqual({ [one.id]: [] })
  }
  test.concurrent(name, run, CASE_MS_MAX)
}
