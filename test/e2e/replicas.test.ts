/**
 * Three replicas behind a balancer that knows nothing, while they and their PostgreSQL are killed and paused, and while it fails
 * over to a standby: what clients, the upstream and the books say of every call must be one story. REPLICA_CALLS says how many
 * calls are made at least.
 */
import { expect, setDefaultTimeout, test } from 'bun:test'
import { startBalancer, startLine } from '../support/balancer.ts'
import { runCommand } from '../support/command.ts'
import { addUpstream } from '../support/named-upstream.ts'
import {
  newDatabase,
  type PostgresServer,
  sql,
  startPostgres,
  startStandby,
} from '../support/postgres.ts'
import { audit, type Granted, restOf } from '../support/replica-audit.ts'
import {
  type Client,
  type CountingUpstream,
  createLoad,
  type Load,
  startCountingUpstream,
} from '../support/replica-load.ts'
import { livesOf, type Replicas, startReplicas, untilKnown } from '../support/replicas.ts'
import { COMMAND, issueKey } from '../support/server.ts'

const CALLS = Number(process.env['REPLICA_CALLS'] ?? 8_000)
const CLIENTS = 60
const REPLICAS = 3
/** As long as it takes on a machine that does other things, too. */
const MS_MAX = 300_000 + CALLS * 20

setDefaultTimeout(MS_MAX)

/** Of the calls. The hot key gets as many as all others. */
const HOT = 0.5
/** Of what is asked of a key that runs out. */
const GRANTED = 0.7
const EDGE = { requests: 12, tokens: 8, minute: 6, 'calls at once': 6 } as const
const KEYS = Object.values(EDGE).reduce<number>((sum, n) => sum + n, 0)
const AT_ONCE = 3
const PER_MINUTE = 25
/** What the upstream reports of a call. */
const TOKENS = 7

/** Several leases; what is reserved for longer will never come back. */
const DRAIN_MS_MAX = 60_000
/** Each of them finds some replica between a question and its answer. */
const CUTS = 20
const CUT_MS = 300

type Stage = {
  readonly database: string
  readonly replicas: Replicas
  readonly upstream: CountingUpstream
  readonly keys: readonly Granted[]
  readonly load: Load
  readonly clients: readonly Client[]
}

async function setUp(database: string, calls: number): Promise<Stage> {
  let load: Load | null = null
  const upstream = startCountingUpstream((id) => load?.calls[id]?.key)
  const settings = { PROXY_EGRESS_ALLOW: upstream.host }
  const replicas = await startReplicas(database, REPLICAS, settings)
  const [first] = replicas.servers
  if (!first) throw new Error('there is no replica')
  await addUpstream(first, {
    name: 'api',
    base_url: upstream.url,
    credential: { secret: 'sk-of-the-operator' },
    meter: { kind: 'tokens' },
  })
  await untilKnown(replicas, 'api')
  const each = Math.ceil((calls * (1 - HOT) * GRANTED) / KEYS)
  const hot: Granted = { id: '', kind: 'requests', amount: Math.ceil(calls * HOT * GRANTED) }
  const wanted: Granted[] = [hot]
  const amounts = {
    requests: each,
    tokens: each * TOKENS,
    minute: PER_MINUTE,
    'calls at once': AT_ONCE,
  }
  for (const [kind, n] of Object.entries(EDGE) as [keyof typeof EDGE, number][])
    for (let i = 0; i < n; i++) wanted.push({ id: '', kind, amount: amounts[kind] + i })
  const issued = await Promise.all(wanted.map((key) => issueKey(first, fieldsOf(key))))
  const keys = wanted.map((key, i) => ({ ...key, id: issued[i]?.id ?? '' }))
  const port = await startBalancer(replicas.ports)
  const made = createLoad(
    port,
    issued.map(({ key }) => key),
  )
  load = made
  const clients = Array.from({ length: CLIENTS }, () => made.createClient())
  return { database, replicas, upstream, keys, load, clients }
}

function fieldsOf({ kind, amount }: Granted): Record<string, unknown> {
  switch (kind) {
    case 'requests':
      return { quota: amount }
    case 'minute':
      return { quota: amount, window: 'minute' }
    case 'tokens':
      return { quota: null, limits: [{ unit: 'tokens', amount, window: 'lifetime' }] }
    case 'calls at once':
      return { quota: null, concurrency: amount }
  }
}

/** Calls until so many were made and what else happens is over. Rejects if that does. */
async function callDuring(
  { load, clients, keys }: Stage,
  calls: number,
  what: () => Promise<void>,
) {
  let isOver = false
  const happening = what().finally(() => {
    isOver = true
  })
  const calling = clients.map(async (client) => {
    while (!isOver || load.calls.length < calls) {
      const key = Math.random() < HOT ? 0 : 1 + Math.floor(Math.random() * (keys.length - 1))
      const { answer } = await client.call(key)
      // Who is refused does not ask at once: the load is that of calls.
      if (answer?.status !== 200) await Bun.sleep(10)
    }
  })
  await Promise.all([happening, ...calling])
}

/** Asks each key that runs out for what is left of it. */
async function drain({ keys, clients }: Stage): Promise<void> {
  const left = keys.flatMap(({ kind }, i) => (kind === 'requests' || kind === 'tokens' ? [i] : []))
  const isEmpty = new Set<number>()
  const deadline = performance.now() + DRAIN_MS_MAX
  await Promise.all(
    clients.map(async (client, n) => {
      for (;;) {
        const open = left.filter((key) => !isEmpty.has(key))
        const key = open[n % open.length]
        if (key === undefined || performance.now() > deadline) return
        const { answer } = await client.call(key)
        if (answer?.code === 'insufficient_quota') isEmpty.add(key)
        // What a dead replica had reserved is free, or charged, when its lease has run out.
        else if (answer?.status !== 200) await Bun.sleep(100)
      }
    }),
  )
}

/** No hold is left, and the books are those of what was seen. */
async function conclude(stage: Stage): Promise<void> {
  const { database, keys, load, upstream, replicas } = stage
  await drain(stage)
  const deadline = performance.now() + DRAIN_MS_MAX / 2
  const nothing = { holds: 0, held: 0, inFlight: 0 }
  let rest = await restOf(database)
  while (!Bun.deepEquals(rest, nothing) && performance.now() < deadline) {
    await Bun.sleep(200)
    rest = await restOf(database)
  }
  expect(rest).toEqual(nothing)
  expect(
    (await audit(database, { keys, calls: load.calls, hits: upstream.hits })).slice(0, 10),
  ).toEqual([])
  await expectAllAtOnce(stage)
  const { out } = await runCommand([...COMMAND, 'doctor', '--json'], replicas.env)
  const { findings } = JSON.parse(out) as { findings: { check: string; ok: boolean }[] }
  const books = findings.filter(({ check }) => ['books', 'holds', 'replicas'].includes(check))
  expect(books.map(({ check, ok }) => [check, ok])).toEqual([['books', true], ['holds', true], ['replicas', true]]) // biome-ignore format: one list
}

/** What has a limit of calls in flight has all of it again, and no more. */
async function expectAllAtOnce({ keys, clients, upstream }: Stage): Promise<void> {
  upstream.forget()
  for (const [key, { kind, amount }] of keys.entries()) {
    if (kind !== 'calls at once') continue
    let tries = 0
    do {
      await Promise.all(clients.slice(0, 2 * amount).map((client) => client.call(key)))
    } while (upstream.peaks.get(key) !== amount && tries++ < 50)
    expect(upstream.peaks.get(key)).toBe(amount)
  }
}

function expectFewAtOnce({ keys, upstream }: Stage): void {
  for (const [key, { kind, amount }] of keys.entries())
    if (kind === 'calls at once') expect(upstream.peaks.get(key) ?? 0).toBeLessThanOrEqual(amount)
}

/** Once around: every way to fail, some of them at the same time. */
async function fail({ replicas }: Stage, postgres: PostgresServer): Promise<void> {
  const [one, two, three] = [0, 1, 2].sort(() => Math.random() - 0.5) as [number, number, number]
  await replicas.kill(one)
  await Bun.sleep(500)
  await replicas.start(one)
  await Bun.sleep(1_000)
  const pausing = replicas.pause(two)
  await postgres.end()
  await Bun.sleep(500)
  await postgres.start()
  await Bun.sleep(2_000)
  await replicas.kill(three)
  await replicas.start(three, 'as another')
  await pausing
  await Bun.sleep(1_000)
  await Promise.all([replicas.kill(one), postgres.end()])
  await postgres.start()
  await replicas.start(one, 'as another')
}

test('replicas and their database are killed and paused under load: exactly the amounts are granted', async () => {
  const postgres = await startPostgres()
  try {
    const stage = await setUp(await newDatabase(postgres), CALLS)
    const { load, replicas } = stage
    await callDuring(stage, CALLS / 5, async () => {})
    expectFewAtOnce(stage)
    await callDuring(stage, CALLS, async () => {
      do await fail(stage, postgres)
      while (load.calls.length < CALLS)
    })
    await conclude(stage)
    const [{ n } = { n: 0 }] = await sql<{ n: number }>(
      stage.database,
      "SELECT count(*)::integer AS n FROM calls WHERE outcome = 'interrupted'",
    )
    expect(n).toBeGreaterThan(0)
    // Each place, and each process that had to begin anew in it.
    const lives = await livesOf(stage.database)
    expect(lives.size).toBeGreaterThanOrEqual(REPLICAS + 2)
    expect([...lives.values()].reduce((sum, n) => sum + n)).toBeGreaterThan(lives.size + 1)
    for (const which of replicas.servers.keys()) await replicas.kill(which)
    stage.upstream.stop()
  } finally {
    await postgres.stop()
  }
})

test('the database fails over to its standby under load: nothing is lost, and nothing granted twice', async () => {
  const primary = await startPostgres()
  const calls = CALLS / 4
  try {
    const database = await newDatabase(primary)
    const standby = await startStandby(primary)
    const both = database.replace(
      `:${primary.port}/`,
      `:${primary.port},127.0.0.1:${standby.port}/`,
    )
    const stage = await setUp(both, calls)
    await callDuring(stage, calls, async () => {
      while (stage.load.calls.length < calls / 2) await Bun.sleep(50)
      await primary.end()
      await Bun.sleep(500)
      await standby.promote()
    })
    const survivor = {
      ...stage,
      database: database.replace(`:${primary.port}/`, `:${standby.port}/`),
    }
    await conclude(survivor)
    const { replicas } = stage
    for (const which of replicas.servers.keys()) await replicas.kill(which)
    stage.upstream.stop()
    await standby.stop()
  } finally {
    await primary.stop()
  }
})

test('connections break off when the database has done what it was asked for: nothing is done twice, or lost', async () => {
  const postgres = await startPostgres()
  const calls = CALLS / 8
  try {
    const database = await newDatabase(postgres)
    const line = await startLine(postgres.port)
    const stage = await setUp(database.replace(`:${postgres.port}/`, `:${line.port}/`), calls)
    await callDuring(stage, calls, async () => {
      for (let i = 0; i < CUTS; i++) {
        await Bun.sleep(CUT_MS)
        line.cut()
      }
    })
    await conclude({ ...stage, database })
    const { replicas } = stage
    for (const which of replicas.servers.keys()) await replicas.kill(which)
    stage.upstream.stop()
  } finally {
    await postgres.stop()
  }
})
