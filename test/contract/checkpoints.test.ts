/** The checkpoint thread against readers that keep the WAL from starting again: they must never stop the ledger for long. */
import { Database } from 'bun:sqlite'
import { afterAll, expect, test } from 'bun:test'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { startCheckpoints } from '../../src/db/sqlite/checkpoint.ts'
import { openDatabase, setAutomaticCheckpoints } from '../../src/db/sqlite/client.ts'
import { temporaryDirectory } from '../support/server.ts'

/** A quarter of a page each, so that a transaction of 400 is about a hundred pages of WAL. */
const ROW = 'x'.repeat(1000)

const open: (() => unknown)[] = []
afterAll(async () => {
  for (const close of open) await close()
})

function start() {
  const path = join(temporaryDirectory(), 'quota.db')
  const writer = openDatabase(path, 'normal')
  writer.run('CREATE TABLE t (a TEXT)')
  const seen = { pauses: 0, paused: false, automatic: true, errors: [] as string[] }
  const ledger = {
    pause() {
      seen.pauses++
      seen.paused = true
    },
    resume() {
      seen.paused = false
    },
  }
  const stop = startCheckpoints(
    path,
    ledger,
    (on) => {
      seen.automatic = on
      setAutomaticCheckpoints(writer, on)
    },
    (error) => seen.errors.push(error),
  )
  open.push(stop, () => writer.close())
  const insert = writer.prepare('INSERT INTO t VALUES (?)')
  open.push(() => insert.finalize())
  const write = (pages: number) => {
    for (let done = 0; done < pages; done += 100) {
      writer.transaction(() => {
        for (let i = 0; i < 400; i++) insert.run(ROW)
      })()
    }
  }
  const frames = () => Number(writer.query('PRAGMA wal_checkpoint(NOOP)').values()[0]?.[1])
  return { path, seen, write, frames }
}

async function until(holds: () => boolean): Promise<void> {
  for (let i = 0; i < 1000 && !holds(); i++) await Bun.sleep(10)
  expect(holds()).toBe(true)
}

test('a reader that began before the writes never stops the ledger; when it ends, the WAL starts again', async () => {
  const { path, seen, write, frames } = start()
  const reader = new Database(path, { readonly: true })
  reader.run('BEGIN')
  reader.query('SELECT count(*) FROM t').get()
  for (let i = 0; i < 15; i++) {
    write(1000)
    await Bun.sleep(60)
  }
  expect(frames()).toBeGreaterThan(14_000)
  expect(seen).toEqual({ pauses: 0, paused: false, automatic: false, errors: [] })

  reader.run('COMMIT')
  await until(() => seen.pauses > 0 && !seen.paused)
  write(100)
  expect(frames()).toBeLessThan(1000)
  reader.close()
})

test('a reader that is up to date costs the ledger fewer and fewer pauses', async () => {
  const { path, seen, write, frames } = start()
  const reader = new Database(path, { readonly: true })
  write(10_000)
  reader.run('BEGIN')
  reader.query('SELECT count(*) FROM t').get()
  await Bun.sleep(3000)
  // Thirty looks; without backing off each of them would be a pause.
  expect(seen.pauses).toBeWithin(1, 7)
  reader.run('COMMIT')
  const before = seen.pauses
  await until(() => seen.pauses > before && !seen.paused)
  write(100)
  expect(frames()).toBeLessThan(1000)
  reader.close()
})

test('without readers the WAL starts again under steady writes', async () => {
  const { seen, write, frames } = start()
  for (let i = 0; i < 30; i++) {
    write(1000)
    await Bun.sleep(30)
  }
  await until(() => frames() < 20_000)
  expect(seen.pauses).toBeGreaterThan(0)
})

test.skipIf(process.platform !== 'linux')(
  'a WAL that has never been long has no thread',
  async () => {
    const before = workers()
    const { write, seen } = start()
    write(1000)
    await Bun.sleep(300)
    expect(workers()).toBe(before)
    expect(seen.automatic).toBe(false)
    write(2000)
    await until(() => workers() === before + 1)
  },
)

function workers(): number {
  const names = readdirSync('/proc/self/task').map((id) =>
    readFileSync(`/proc/self/task/${id}/comm`, 'utf8').trim(),
  )
  return names.filter((name) => name === 'Worker').length
}
