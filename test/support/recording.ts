/**
 * A server under load, recorded by strace: every step that it took, every fact that its clients were told, and the files
 * that were there in the end, as a second witness.
 */
import { expect } from 'bun:test'
import { closeSync, openSync, readSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { Fact } from './aftermath.ts'
import { settled } from './books.ts'
import { type Image, readImage } from './power-loss.ts'
import { startServer, type TestServer, temporaryDirectory } from './server.ts'
import { readTrace, type Step, straceCommand } from './strace.ts'
import { startUpstream } from './upstream.ts'

export type Durability = 'normal' | 'full'

/** All that a server did in two lives, and what its clients were told. */
export type Recording = {
  readonly facts: readonly Fact[]
  readonly steps: readonly Step[]
  /** The files as they were after so many steps: when it had been killed, and when it had stopped. */
  readonly files: readonly { readonly after: number; readonly image: Image }[]
}

const CLIENTS = 8
/** Made by all clients at once, in each life. */
export const CALLS_TOGETHER = 240
/** A WAL that is not begun anew after so many calls, at several pages each, never will be. */
const CALLS_ALONE_MAX = 5_000

/** Calls on several keys, some of them refunded, with a key taken back and a SIGKILL in between; stopped at last. */
export async function record(durability: Durability): Promise<Recording> {
  const upstream = startUpstream(
    (_, { path }) => new Response('x', { status: Number(path.slice(1)) }),
  )
  const dataDir = join(temporaryDirectory(), 'data')
  const facts: Fact[] = []
  const keys: IssuedKey[] = []
  const call = async (turn: number) => {
    const key = keys[turn % keys.length]
    const endpoint = `${upstream.url}/${turn % 7 === 0 ? 503 : 200}`
    if (key) await callOnce(server, key, endpoint, facts)
  }
  const trace = join(temporaryDirectory(), 'trace')
  const start = () =>
    startServer(
      { PROXY_EGRESS_ALLOW: upstream.host, DURABILITY: durability },
      dataDir,
      straceCommand(trace),
    )

  const stepsSince = (before: number) => {
    const steps = readTrace(trace, dataDir, before)
    // It is large, and was all read.
    rmSync(trace)
    return steps
  }

  let server = await start()
  for (const quota of [9_999, 9_999, 50, 9_999]) keys.push(await issue(server, quota, facts))
  await callTogether(call)
  await callUntilCheckpoint(dataDir, call)
  await disable(server, keys.pop(), facts)
  await settled(server)
  await server.stop('SIGKILL')
  const killed = { steps: stepsSince(0), image: readImage(dataDir) }

  server = await start()
  await callTogether(call)
  expect(await server.stop()).toBe(0)
  const steps = [...killed.steps, ...stepsSince(killed.steps.length)]
  return {
    facts,
    steps,
    files: [
      { after: killed.steps.length, image: killed.image },
      { after: steps.length, image: readImage(dataDir) },
    ],
  }
}

function callTogether(call: (turn: number) => Promise<void>): Promise<unknown> {
  const client = async (first: number) => {
    for (let turn = first; turn < CALLS_TOGETHER; turn += CLIENTS) await call(turn)
  }
  return Promise.all([...Array(CLIENTS).keys()].map(client))
}

/** Calls one at a time, each with commits of its own, until the WAL was copied into the database and begun anew. */
async function callUntilCheckpoint(dataDir: string, call: (turn: number) => Promise<void>) {
  const database = join(dataDir, 'quota.db')
  const wal = openSync(`${database}-wal`, 'r')
  const copiedAt = () => statSync(database).mtimeMs
  // Each time it begins, its header has other salts.
  const header = Buffer.alloc(32)
  readSync(wal, header, 0, 32, 0)
  const before = { copiedAt: copiedAt(), header: header.toString('hex') }
  for (let turn = 0; header.toString('hex') === before.header; turn++) {
    if (turn === CALLS_ALONE_MAX) throw new Error(`no checkpoint in ${CALLS_ALONE_MAX} calls`)
    // The end of the WAL is only reached while nobody writes.
    if (copiedAt() !== before.copiedAt) await Bun.sleep(100)
    await call(turn)
    readSync(wal, header, 0, 32, 0)
  }
  closeSync(wal)
}

type IssuedKey = { readonly key: string; readonly id: string }

async function issue(server: TestServer, quota: number, facts: Fact[]): Promise<IssuedKey> {
  const response = await server.admin('POST', '/admin/keys', { name: 'test', quota })
  const issued = (await response.json()) as IssuedKey
  facts.push({ kind: 'issued', key: issued.id, requestId: requestIdOf(response) })
  return issued
}

async function disable(server: TestServer, key: IssuedKey | undefined, facts: Fact[]) {
  const response = await server.admin('PATCH', `/admin/keys/${key?.id}`, { enabled: false })
  expect(response.status).toBe(200)
  facts.push({ kind: 'disabled', key: key?.id ?? '', requestId: requestIdOf(response) })
}

async function callOnce(
  server: TestServer,
  { key, id }: IssuedKey,
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
