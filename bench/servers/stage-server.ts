/**
 * A part of the data path behind a listener of its own, so that what each part costs can be measured as the difference
 * from the one before. The parts are the product's own functions, wired as src/proxy/handle.ts wires them.
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { openStore } from '../../src/db/open.ts'
import { hashKey } from '../../src/domain/key/secret.ts'
import { createSealer, KEY_BYTES } from '../../src/lib/seal.ts'
import { createAdmit } from '../../src/proxy/admit.ts'
import { relay } from '../../src/proxy/answer/relay.ts'
import { authenticate } from '../../src/proxy/authenticate.ts'
import { createHandle } from '../../src/proxy/handle.ts'
import { responseHeaders } from '../../src/proxy/headers/response.ts'
import { createInFlight, isSlot, type Slot } from '../../src/proxy/in-flight.ts'
import { createKeyMemory } from '../../src/proxy/key-memory.ts'
import { type Received, readClientCall } from '../../src/proxy/request/client-call.ts'
import { resolve, type Target } from '../../src/proxy/resolve.ts'
import { createBreakers } from '../../src/proxy/send/breakers.ts'
import { startDeadline } from '../../src/proxy/send/deadline.ts'
import { createEgressGuard } from '../../src/proxy/send/egress.ts'
import { forward } from '../../src/proxy/send/forward.ts'
import { createLeaving } from '../../src/proxy/send/leaving.ts'
import { markAdmitted } from '../../src/proxy/send/outbound.ts'
import { STAGE_KEY, type Stage } from './stages.ts'

const [port, upstream = '', stage = 'listen', directory = ''] = process.argv.slice(2)

const fail = (error: unknown) => {
  throw error
}
mkdirSync(directory, { recursive: true })
const store = await openStore(
  {
    url: `file:${join(directory, 'quota.db')}`,
    durability: 'normal',
    retention: () => ({ callsDays: 90, callsMax: 10_000_000, usageDays: 400 }),
    events: { onFailure: fail, onRecovery() {}, onRejected: fail },
    sealer: createSealer({ all: () => [], create: () => new Uint8Array(KEY_BYTES) }),
  },
  Date.now(),
)
const main = { name: 'quota', unit: 'requests', amount: null, window: 'lifetime' } as const
await store.keys.create(
  {
    id: 'key_stage',
    hash: hashKey(STAGE_KEY),
    hint: '',
    name: 'stage',
    enabled: true,
    expiresAt: null,
    concurrency: null,
    reserveMax: null,
    scope: null,
    tags: [],
    metadata: {},
    limits: [{ ...main, timezone: 'UTC', weekStart: 'monday' }],
  },
  Date.now(),
)
const { hostname, port: upstreamPort } = new URL(upstream)
const rules = {
  guard: createEgressGuard({
    mode: 'public',
    allow: [{ host: hostname, port: Number(upstreamPort) }],
  }),
  upstreams: { byName: () => null, byMount: () => null, byUrl: () => null, list: () => [] },
  chargeOn: 'answer',
  bodyBytesMax: 1_000_000,
  timeoutMs: 60_000,
  idleTimeoutMs: 60_000,
} as const
const leaving = createLeaving()
const options = {
  keys: createKeyMemory(store.find),
  ledger: store.ledger,
  inFlight: createInFlight(() => ({ callsMax: 10_000, bufferBytesMax: 100_000_000 }), leaving),
  clock: Date.now,
  rules: () => rules,
  breakers: createBreakers(() => {}),
  openSockets: { add: () => () => {} },
  leaving,
  onCredentialRejected() {},
  onUnknownUsage() {},
  report() {},
  tracer: null,
} as const
const admit = createAdmit(options)
const handle = createHandle(options)
const order = {
  upstream: null,
  outbound: { destination: { hostField: 'localhost' } } as Target['outbound'],
  units: { requests: 1, tokens: 0, cost: 0 },
  chargeOn: 'answer',
  metering: null,
} as const
const envelope = { kind: 'envelope' } as const
const key = (await store.find(hashKey(STAGE_KEY))) ?? fail(new Error('the key is not there'))

async function caller(request: Request) {
  const found = await authenticate(request.headers.toJSON(), options.keys, Date.now())
  return found.ok ? found : fail(new Error(found.refusal.code))
}

function slot(): Slot {
  const entered = options.inFlight.enter(key.seq, null, null)
  return isSlot(entered) ? entered : fail(new Error(entered.code))
}

function received(request: Request): Received {
  return { request, fields: request.headers.toJSON(), ingress: envelope }
}

async function target(request: Request) {
  const own = slot()
  const reader = {
    key,
    raw: STAGE_KEY,
    ip: '',
    slot: own,
    foresee: async () => null,
    mayAsk: () => true,
  }
  const call = received(request)
  const read = await readClientCall(call, reader, rules)
  if (!read.ok) return fail(new Error(read.refusal.message))
  const resolved = await resolve(call, read.clientCall, reader, rules)
  own.release()
  return resolved.ok ? resolved.target : fail(new Error(resolved.refusal.message))
}

async function charge(request: Request) {
  const when = { at: Date.now(), startedMs: performance.now() }
  const call = { requestId: 'req_1', ip: '', method: 'POST', path: '/', ...when, trace: null }
  const { key: known } = await caller(request)
  const admission = await admit(call, { key: known, slot: slot(), client: request.signal }, order)
  if (!admission.ok) return fail(new Error(admission.changed ? 'changed' : admission.refusal.code))
  const sums = { bytesIn: 1, bytesOut: 1, code: null, status: 200, upstreamStatus: 200 }
  void admission.settle({ outcome: 'answered', ...sums })
}

const DO: Record<Stage, (request: Request) => Response | Promise<Response>> = {
  listen: () => new Response('done'),
  async authenticate(request) {
    await caller(request)
    return new Response('done')
  },
  async match(request) {
    await target(request)
    return new Response('done')
  },
  async charge(request) {
    await charge(request)
    return new Response('done')
  },
  async forward(request) {
    const { outbound } = await target(request)
    const timeouts = { totalMs: 60_000, firstByteMs: 60_000, idleMs: 60_000 }
    const deadline = startDeadline(request.signal, timeouts, { leaving, key: 1, upstream: '' })
    const sent = await forward(markAdmitted(outbound), deadline)
    if (!sent.ok) return fail(new Error(sent.failure))
    const own = slot()
    const onEnd = () => own.release()
    const seen = { tap: null, readsOn: false, slot: own, onEnd }
    const metered = await relay(sent.response, { deadline, ...seen })
    return new Response(metered?.body ?? null, { headers: responseHeaders(sent.response.headers) })
  },
  whole: async (request) =>
    (await handle(received(request), { requestId: 'req_1', ip: '' }, () => false)) ??
    fail(new Error('no answer')),
}

Bun.serve({
  hostname: '127.0.0.1',
  port: Number(port),
  idleTimeout: 0,
  fetch: DO[stage as Stage],
})
