/**
 * What DURABILITY promises. A server is traced under load; from the trace come the files that a loss of power at any
 * moment could have left, and each is opened as the next start would, and compared with what clients had been told by
 * then. The last two tests hold the method itself to account.
 */
import { Database } from 'bun:sqlite'
import { test as bunTest, expect } from 'bun:test'
import { readFileSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { examineStore, openStore } from '../../src/db/open.ts'
import { chanceOf, createDisk, type Image, type Keep, writeImage } from '../support/power-loss.ts'
import { startServer, type TestServer, temporaryDirectory } from '../support/server.ts'
import { readTrace, type Step, straceCommand, straceObstacle } from '../support/strace.ts'
import { startUpstream } from '../support/upstream.ts'

type Durability = 'normal' | 'full'

/** Something that a client was told, and by which answer. */
type Fact = { readonly requestId: string; readonly key: string } & (
  | { readonly kind: 'issued' | 'disabled' }
  | { readonly kind: 'call'; readonly seq: number; readonly paid: boolean }
)

type Recording = {
  readonly facts: readonly Fact[]
  readonly steps: readonly Step[]
  readonly dataDir: string
}

/** What the next start makes of the files: what is wrong with them, and what they do not know of what was told. */
type Finding = {
  readonly cut: number
  readonly keep: Keep
  readonly damage: readonly string[]
  readonly lost: readonly string[]
  readonly told: number
}

const SEED = 20_261_122

/** A bound for a test that hangs; what it measures is nothing. */
const TEST_MS_MAX = 180_000

/** SQLite checkpoints after some thousand pages, and one call at a time writes about ten. */
const CALLS_MAX = 5_000

const obstacle = straceObstacle()

function test(name: string, run: () => Promise<void>): void {
  if (obstacle === null) bunTest(name, run, TEST_MS_MAX)
  else bunTest.skip(`${name} (${obstacle})`, run)
}

test('with DURABILITY=full a loss of power forgets nothing that anybody was told', async () => {
  const findings = await examine('full')
  expect(findings.filter(({ damage, lost }) => damage.length + lost.length > 0)).toEqual([])
  expect(
    findings.filter(({ keep, told }) => keep !== 'everything' && told > 300).length,
  ).toBeGreaterThan(60)
})

test('with DURABILITY=normal a loss of power damages nothing and forgets the newest calls only', async () => {
  const findings = await examine('normal')
  expect(findings.filter(({ damage }) => damage.length > 0)).toEqual([])
  // An audit that finds nothing lost here could not have found it above either.
  const forgetful = findings.filter(({ keep, lost }) => keep === 'synced' && lost.length > 0)
  expect(forgetful.length).toBeGreaterThan(20)
})

test('the death of the process forgets nothing, whatever DURABILITY is', async () => {
  const findings = [...(await examine('normal')), ...(await examine('full'))].filter(
    ({ keep }) => keep === 'everything',
  )
  expect(findings.length).toBeGreaterThan(100)
  expect(findings.filter(({ damage, lost }) => damage.length + lost.length > 0)).toEqual([])
})

test('the steps that the images are made of are all there were', async () => {
  for (const durability of ['normal', 'full'] as const) {
    const { steps, facts, dataDir } = await recorded(durability)
    const disk = createDisk()
    for (const step of steps) disk.apply(step)
    const image = disk.image('everything', Math.random)
    expect([...image.keys()]).toEqual(['quota.db'])
    expect(image.get('quota.db')?.equals(readFileSync(join(dataDir, 'quota.db')))).toBe(true)
    expect(facts.filter(({ requestId }) => toldAt(steps, requestId) === -1)).toEqual([])
    expect(facts.length).toBeGreaterThan(500)
  }
})

test('a disk that only says that it has written the database is found out', async () => {
  const { steps, facts } = await recorded('full')
  const disk = createDisk()
  for (const step of steps) {
    const isLie = step.kind === 'sync' && step.file === 'quota.db'
    disk.apply(isLie ? { kind: 'answer', requestIds: [] } : step)
  }
  const chance = chanceOf(SEED)
  const found = Array.from({ length: 20 }, () => audit(disk.image('torn', chance), facts))
  expect(found.filter(({ damage }) => damage.length > 0).length).toBeGreaterThan(5)
})

const recordings = new Map<Durability, Promise<Recording>>()

function recorded(durability: Durability): Promise<Recording> {
  const recording = recordings.get(durability) ?? record(durability)
  recordings.set(durability, recording)
  return recording
}

/** A server from its first start to its stop: calls on several keys, some of them refunded, and a key that is taken back. */
async function record(durability: Durability): Promise<Recording> {
  const upstream = startUpstream(
    (_, { path }) => new Response('x', { status: Number(path.slice(1)) }),
  )
  const trace = join(temporaryDirectory(), 'trace')
  const env = { PROXY_EGRESS_ALLOW: upstream.host, DURABILITY: durability }
  const server = await startServer(env, undefined, straceCommand(trace))
  const facts: Fact[] = []
  const keys = await Promise.all(
    [9_999, 9_999, 9_999, 50].map((quota) => issue(server, quota, facts)),
  )
  const call = async (turn: number) => {
    const key = keys[turn % keys.length]
    const endpoint = `${upstream.url}/${turn % 7 === 0 ? 503 : 200}`
    if (key) await callOnce(server, key, endpoint, facts)
  }
  const together = () =>
    Promise.all(
      Array.from({ length: 8 }, async (_, client) => {
        for (let turn = client; turn < 300; turn += 8) await call(turn)
      }),
    )

  await together()
  // Alone, so that each call has commits of its own, until the WAL is copied into the database for the first time.
  const database = join(server.dataDir, 'quota.db')
  const before = statSync(database).mtimeMs
  for (let turn = 0; statSync(database).mtimeMs === before; turn++) {
    if (turn === CALLS_MAX) throw new Error(`no checkpoint in ${CALLS_MAX} calls`)
    await call(turn)
  }
  const [first] = keys
  const response = await server.admin('PATCH', `/admin/keys/${first?.id}`, { enabled: false })
  expect(response.status).toBe(200)
  facts.push({ kind: 'disabled', key: first?.id ?? '', requestId: requestIdOf(response) })
  await together()
  expect(await server.stop()).toBe(0)
  return { facts, steps: readTrace(trace, server.dataDir), dataDir: server.dataDir }
}

async function issue(server: TestServer, quota: number, facts: Fact[]) {
  const response = await server.admin('POST', '/admin/keys', { name: 'test', quota })
  const { key, id } = (await response.json()) as { key: string; id: string }
  facts.push({ kind: 'issued', key: id, requestId: requestIdOf(response) })
  return { key, id }
}

async function callOnce(
  server: TestServer,
  { key, id }: { key: string; id: string },
  endpoint: string,
  facts: Fact[],
): Promise<void> {
  const response = await server.call(key, { endpoint })
  await response.arrayBuffer()
  const charge = response.headers.get('x-quota-charge-id')?.slice('call_'.length)
  if (charge === undefined) return
  const paid = response.headers.get('x-quota-cost') === '1'
  facts.push({ kind: 'call', key: id, seq: Number(charge), paid, requestId: requestIdOf(response) })
}

function requestIdOf(response: Response): string {
  return response.headers.get('x-request-id') ?? ''
}

function toldAt(steps: readonly Step[], requestId: string): number {
  return steps.findIndex((step) => step.kind === 'answer' && step.requestIds.includes(requestId))
}

const examinations = new Map<Durability, Promise<Finding[]>>()

function examine(durability: Durability): Promise<Finding[]> {
  const findings = examinations.get(durability) ?? recorded(durability).then(examineAll)
  examinations.set(durability, findings)
  return findings
}

/** The power goes after each of the steps that `cutsOf` chooses, in each of three ways. */
function examineAll({ facts, steps }: Recording): Finding[] {
  const chance = chanceOf(SEED)
  const cuts = cutsOf(steps)
  const told: Fact[] = []
  const disk = createDisk()
  const factOf = new Map(facts.map((fact) => [fact.requestId, fact]))
  return steps.flatMap((step, index) => {
    disk.apply(step)
    if (step.kind === 'answer') told.push(...step.requestIds.flatMap((id) => factOf.get(id) ?? []))
    if (!cuts.has(index)) return []
    return (['everything', 'synced', 'torn'] as const).map((keep) => {
      const found = audit(disk.image(keep, chance), told)
      return { cut: index, keep, told: told.length, ...found }
    })
  })
}

/** Evenly all over, right after answers, around syncs, and around all of a checkpoint's. */
function cutsOf(steps: readonly Step[]): Set<number> {
  const indexesOf = (wanted: (step: Step) => boolean) =>
    steps.flatMap((step, index) => (wanted(step) ? [index] : []))
  const syncs = indexesOf(({ kind }) => kind === 'sync')
  const rare = indexesOf((step) => step.kind === 'sync' && step.file !== 'quota.db-wal')
  return new Set([
    ...thinned([...steps.keys()], 25),
    ...thinned(
      indexesOf(({ kind }) => kind === 'answer'),
      15,
    ),
    ...[...thinned(syncs, 10), ...rare].flatMap((index) => [index - 1, index]),
    ...[...steps.keys()].slice(-5),
  ])
}

function thinned(list: readonly number[], count: number): number[] {
  return list.filter(
    (_, i) => Math.floor((i * count) / list.length) !== Math.floor(((i - 1) * count) / list.length),
  )
}

/** Starts on the files of an image, as the product does. */
function audit(image: Image, told: readonly Fact[]): { damage: string[]; lost: string[] } {
  const directory = join(temporaryDirectory(), 'data')
  writeImage(image, directory)
  const path = join(directory, 'quota.db')
  const fail = (error: unknown) => {
    throw error
  }
  const retention = { callsDays: 9_999, callsMax: 1_000_000, usageDays: 9_999 }
  const events = { onFailure: fail, onRecovery() {}, onRejected: fail }
  try {
    const store = openStore(
      { url: `file:${path}`, durability: 'normal', retention, events },
      Date.now(),
    )
    store.close()
    return read(path, told)
  } catch (error) {
    return { damage: [String(error)], lost: [] }
  } finally {
    rmSync(directory, { recursive: true })
  }
}

function read(path: string, told: readonly Fact[]): { damage: string[]; lost: string[] } {
  const { findings = [] } = examineStore(`file:${path}`, Date.now()) ?? {}
  const wrong = findings.filter(({ ok, check }) => !ok && check !== 'disk')
  const client = new Database(path, { readonly: true })
  const rows = <T>(sql: string) => client.query<T, []>(sql).all()
  const seqs = rows<{ seq: number }>('SELECT seq FROM calls ORDER BY seq').map(({ seq }) => seq)
  const keys = rows<{ id: string; enabled: number; used: number; amount: number }>(
    `SELECT k.id, k.enabled, l.amount, coalesce(sum(c.used), 0) AS used FROM keys k JOIN limits l ON l.key_seq = k.seq
     LEFT JOIN counters c ON c.limit_id = l.id GROUP BY k.seq`,
  )
  client.close()

  const known = new Set(seqs)
  const lost = told.flatMap((fact): string[] => {
    const key = keys.find(({ id }) => id === fact.key)
    if (!key) return [`key ${fact.key}`]
    if (fact.kind === 'disabled') return key.enabled ? [`the disabling of ${fact.key}`] : []
    return fact.kind === 'call' && !known.has(fact.seq) ? [`call ${fact.seq}`] : []
  })
  const paid = told.flatMap((fact) => (fact.kind === 'call' && fact.paid ? fact.key : []))
  return {
    damage: [
      ...wrong.map(({ check, detail }) => `${check}: ${detail}`),
      ...seqs
        .filter((seq, i) => seq !== i + 1)
        .slice(0, 1)
        .map((seq) => `no call before ${seq}`),
      ...keys.filter(({ used, amount }) => used > amount).map(({ id }) => `${id} is oversold`),
    ],
    lost: [
      ...lost,
      ...keys
        .filter(({ id, used }) => used < paid.filter((key) => key === id).length)
        .map(({ id }) => `units of ${id}`),
    ],
  }
}
