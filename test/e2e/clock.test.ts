/**
 * A running server whose machine has a clock that somebody puts back and forth: a limit per minute refuses for a minute of
 * the time that really passes, no less and no more, and says so.
 */
import { expect, test } from 'bun:test'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { settled } from '../support/books.ts'
import { onPostgres, testOfFiles } from '../support/engine.ts'
import { issueKey, startServer, type TestServer, temporaryDirectory } from '../support/server.ts'
import { startUpstream } from '../support/upstream.ts'

const folder = temporaryDirectory()
const TIMES = join(folder, 'times.json')
const PRELOAD = join(folder, 'clocks.ts')
const DAY_S = 86_400

/** Only these two are read: what the clock shows, and what has passed. */
writeFileSync(
  PRELOAD,
  `import { readFileSync } from 'node:fs'
  const [wall, monotonic] = [Date.now, performance.now.bind(performance)]
  const read = () => JSON.parse(readFileSync(${JSON.stringify(TIMES)}, 'utf8'))
  Date.now = () => { const { aheadS, passedS } = read(); return wall() + (aheadS + passedS) * 1000 }
  performance.now = () => monotonic() + read().passedS * 1000`,
)

const times = { aheadS: 0, passedS: 0 }
function set(change: Partial<typeof times>): void {
  Object.assign(times, change)
  writeFileSync(TIMES, JSON.stringify(times))
}

const upstream = startUpstream(() => Response.json({}))
const start = (dataDir?: string) =>
  startServer({ PROXY_EGRESS_ALLOW: upstream.host, BUN_OPTIONS: `--preload ${PRELOAD}` }, dataDir)

async function call(server: TestServer, key: string) {
  const { status, headers } = await server.call(key, { endpoint: upstream.url })
  const shownAt = Date.now() + (times.aheadS + times.passedS) * 1_000
  const resetS = (Date.parse(headers.get('x-quota-reset') ?? '') - shownAt) / 1_000
  const waitS = Number(headers.get('retry-after'))
  const t = Number(/;t=(\d+)/.exec(headers.get('ratelimit') ?? '')?.[1])
  return { status, resetS, waitS, t }
}

/** A window, a sixtieth of it in which the last call was, and one more in which a moved one may end. */
const MINUTE_S = 62

async function expectUsedUp(server: TestServer, key: string): Promise<number> {
  const { status, resetS, waitS, t } = await call(server, key)
  expect(status).toBe(429)
  expect(waitS).toBeWithin(1, MINUTE_S + 1)
  expect(t).toBeWithin(1, MINUTE_S + 1)
  expect(resetS).toBeLessThanOrEqual(MINUTE_S)
  return waitS
}

testOfFiles(
  'a clock that is put back by a day, forth by two, and back while the server is down: a minute stays a minute',
  async () => {
    set({ aheadS: 0, passedS: 0 })
    const server = await start()
    const { key, id } = await issueKey(server, { quota: 2, window: 'minute' })
    for (let i = 0; i < 2; i++) expect((await call(server, key)).status).toBe(200)
    await expectUsedUp(server, key)
    for (const aheadS of [-DAY_S, DAY_S, 0, -3_600, -30]) {
      set({ aheadS })
      const waitS = await expectUsedUp(server, key)
      const shown = await server.admin('GET', `/admin/keys/${id}`)
      expect(await shown.json()).toMatchObject({ used: 2, remaining: 0 })
      // Not a moment before: as much has passed as the first wait leaves of a minute.
      expect(waitS).toBeGreaterThan(MINUTE_S - 30)
    }
    set({ passedS: MINUTE_S })
    for (let i = 0; i < 2; i++) expect((await call(server, key)).status).toBe(200)
    await settled(server)
    expect(await server.stop()).toBe(0)

    set({ aheadS: -2 * DAY_S })
    const next = await start(server.dataDir)
    const waitS = await expectUsedUp(next, key)
    set({ passedS: times.passedS + waitS })
    expect((await call(next, key)).status).toBe(200)
    const found = await next.admin('GET', '/admin/doctor')
    const { findings } = (await found.json()) as { findings: { check: string; ok: boolean }[] }
    expect(findings.find(({ check }) => check === 'books')?.ok).toBe(true)
    expect(await next.stop()).toBe(0)
  },
  60_000,
)

testOfFiles(
  'a server that nobody calls notices by itself that its clock was put back',
  async () => {
    set({ aheadS: 0, passedS: 0 })
    const server = await start()
    const { key, id } = await issueKey(server, { quota: 1, window: 'minute' })
    expect((await call(server, key)).status).toBe(200)
    await settled(server)
    set({ aheadS: -DAY_S })
    const resetsInS = async () => {
      const shown = (await (await server.admin('GET', `/admin/keys/${id}`)).json()) as {
        limits: { resets_at: string }[]
      }
      return (Date.parse(shown.limits[0]?.resets_at ?? '') - Date.now()) / 1_000 + DAY_S
    }
    for (let i = 0; i < 200 && (await resetsInS()) > MINUTE_S; i++) await Bun.sleep(50)
    expect(await resetsInS()).toBeLessThanOrEqual(MINUTE_S)
    expect(await server.stop()).toBe(0)
  },
)

const testOfReplicas = test.skipIf(!onPostgres)

testOfReplicas(
  'a replica whose clock is wrong goes by that of the database, and says how long to wait',
  async () => {
    set({ aheadS: 0, passedS: 0 })
    const server = await start()
    const { key } = await issueKey(server, { quota: 2, window: 'minute' })
    for (const aheadS of [-DAY_S, DAY_S]) {
      set({ aheadS })
      const { status, t } = await call(server, key)
      expect(status).toBe(200)
      expect(t).toBeWithin(1, MINUTE_S + 1)
    }
    for (const aheadS of [-DAY_S, 0, DAY_S]) {
      set({ aheadS })
      const { status, waitS, t } = await call(server, key)
      expect(status).toBe(429)
      expect(waitS).toBeWithin(1, MINUTE_S + 1)
      expect(t).toBeWithin(1, MINUTE_S + 1)
    }
    expect(await server.stop()).toBe(0)
  },
)
