/**
 * Callers that remember a key, and an operator who changes it at any point between their reading and the charge. Whoever
 * knows the key as it is gets what it allows; whoever knows it as it was gets nothing. On PostgreSQL callers and operator
 * are at replicas of their own, and charges also race with changes.
 */
import { expect, test } from 'bun:test'
import fc from 'fast-check'
import type { Credential, NamedLimit } from '../../src/domain/key.ts'
import { newDatabase } from '../support/postgres.ts'
import {
  addKey,
  codeOfAnswer,
  limitOf,
  ONE,
  openTestStore,
  type TestKey,
  type TestStore,
} from '../support/store.ts'

const CALLERS = 3

const CHANGES = [
  'disable', 'enable', 'expire', 'prolong', 'scope', 'concurrency', 'amount', 'limits', 'credit', 'reset', 'rotate',
  'rotate_with_grace', 'rename', 'delete',
] as const // biome-ignore format: a list
type ChangeKind = (typeof CHANGES)[number]

type Step =
  /** The caller reads the key and remembers it. */
  | { readonly kind: 'read'; readonly caller: number }
  /** The caller asks for a charge with what it remembers. */
  | { readonly kind: 'ask'; readonly caller: number }
  | { readonly kind: 'change'; readonly change: ChangeKind }
  /** What was asked so far is charged. */
  | { readonly kind: 'turn' }

/** There is always room, so that only the state of the key decides. */
const AMOUNT = 1_000_000
const LIMITS: readonly (readonly Partial<NamedLimit>[])[] = [
  [],
  [{ amount: null }],
  [{ amount: AMOUNT }],
  [{ amount: AMOUNT, window: 'minute' }],
  [
    { amount: AMOUNT, window: 'day' },
    { unit: 'tokens', amount: AMOUNT },
  ],
]

const caller = fc.nat({ max: CALLERS - 1 })
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('read' as const), caller }) },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('ask' as const), caller }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('change' as const), change: fc.constantFrom(...CHANGES) }) },
  { weight: 3, arbitrary: fc.constant({ kind: 'turn' as const }) },
) // biome-ignore format: one kind a line

/** The key as it is, with the number of changes that led there. */
type Truth = {
  version: number
  enabled: boolean
  expiresAt: number | null
  deleted: boolean
  hash: Buffer
}

const NOW = 1_000
let secrets = 0

function newSecret(): Buffer {
  return Buffer.from(new Bun.CryptoHasher('sha256').update(`secret ${secrets++}`).digest())
}

async function change(store: TestStore, { id }: TestKey, truth: Truth, kind: ChangeKind) {
  const { keys } = store
  const update = (changes: Parameters<typeof keys.update>[1]) => keys.update(id, changes, NOW)
  const rotate = async (previousUntil: number | null) => {
    truth.hash = newSecret()
    await keys.rotate(id, { hash: truth.hash, hint: '', previousUntil }, NOW)
  }
  if (truth.deleted) return
  truth.version++
  switch (kind) {
    case 'disable':
    case 'enable':
      truth.enabled = kind === 'enable'
      return update({ enabled: truth.enabled })
    case 'expire':
    case 'prolong':
      truth.expiresAt = kind === 'expire' ? NOW : NOW + 1
      return update({ expiresAt: truth.expiresAt })
    case 'scope':
      return update({ scope: { methods: [`M${truth.version}`] } })
    case 'concurrency':
      return update({ concurrency: AMOUNT + truth.version })
    case 'amount':
      return update({ limits: [limitOf({ amount: AMOUNT + truth.version })] })
    case 'limits':
      return update({ limits: (LIMITS[truth.version % LIMITS.length] ?? []).map(limitOf) })
    case 'credit':
      // A key without such a limit is not changed.
      if (
        typeof (await keys.credit(id, { limit: 'quota', amount: 1, reason: '' }, NOW)) === 'string'
      )
        truth.version--
      return
    case 'reset':
      return keys.reset(id, undefined, NOW)
    case 'rotate':
      return rotate(null)
    case 'rotate_with_grace':
      return rotate(NOW + 1)
    case 'rename':
      return update({ name: `key ${truth.version}` })
    case 'delete':
      truth.deleted = true
      return keys.remove(id, NOW)
  }
}

/** What a charge must answer to a caller that knows the key as it was after so many changes. */
function expected({ version, enabled, expiresAt, deleted }: Truth, known: number): string[] {
  if (deleted) return ['invalid_api_key']
  const unusable = !enabled ? 'api_key_disabled' : expiresAt === NOW ? 'api_key_expired' : null
  if (known !== version) return unusable ? [unusable, 'changed'] : ['changed']
  return [unusable ?? 'granted']
}

type Known = { readonly credential: Credential; readonly version: number }

type Setting = {
  readonly operator: TestStore
  /** Of each caller. */
  readonly callers: readonly TestStore[]
  /**
   * When a charge is sent: where one store serves all, what is asked is charged after the changes of the same turn. Where
   * there are several, either everything asked is sent in its turn, or at once, and then races with what comes after it.
   */
  readonly sent: 'by the store' | 'in its turn' | 'at once'
}

async function play(
  { operator, callers, sent }: Setting,
  limits: readonly Partial<NamedLimit>[],
  steps: readonly Step[],
) {
  const key = await addKey(operator, limits)
  const truth: Truth = {
    version: 0,
    enabled: true,
    expiresAt: null,
    deleted: false,
    hash: key.hash,
  }
  const truths: Truth[] = [{ ...truth }]
  const known: (Known | null)[] = Array.from({ length: CALLERS }, () => null)
  let asked: (() => Promise<void>)[] = []
  const turn = async () => {
    const answers = asked
    asked = []
    for (const compare of answers) await compare()
  }

  for (const one of steps) {
    if (one.kind === 'turn') await turn()
    if (one.kind === 'change') {
      await change(operator, key, truth, one.change)
      truths.push({ ...truth })
    }
    const store = 'caller' in one ? callers[one.caller] : undefined
    if (one.kind === 'read' && store) {
      const credential = await store.find(truth.hash)
      known[one.caller] = credential && { credential, version: truth.version }
    }
    const own = one.kind === 'ask' ? known[one.caller] : null
    if (!own || !store) continue
    const { credential, version } = own
    const claim = { key: credential, at: NOW, upstream: '', requestId: '', units: ONE }
    const reserve = async () => codeOfAnswer(await store.ledger.reserve(claim))
    const early = sent === 'in its turn' ? null : reserve()
    const askedAt = truths.length - 1
    asked.push(async () => {
      const code = await (early ?? reserve())
      const possible = sent === 'at once' ? truths.slice(askedAt) : [truth]
      expect(possible.flatMap((then) => expected(then, version))).toContain(code)
    })
  }
  await turn()
}

const reads = Array.from({ length: CALLERS }, (_, each): Step => ({ kind: 'read', caller: each }))
const steps = fc.array(step, { maxLength: 30, size: 'max' }).map((list) => [...reads, ...list])

function agrees(stores: Pick<Setting, 'operator' | 'callers'>, ...sent: Setting['sent'][]) {
  return fc.asyncProperty(
    fc.constantFrom(...sent),
    fc.constantFrom(...LIMITS),
    steps,
    (when, ...rest) => play({ ...stores, sent: when }, ...rest),
  )
}

test('a charge succeeds for whoever knows the key as it is, and for nobody else, whenever it is changed', async () => {
  const store = await openTestStore('SQLite in a file')
  const stores = { operator: store, callers: Array(CALLERS).fill(store) }
  await fc.assert(agrees(stores, 'by the store'), { numRuns: 1_500 })
  expect(store.events).toEqual([])
}, 120_000)

test('so it is where callers and operator are at replicas of their own', async () => {
  const path = await newDatabase()
  const open = (replica: string) => openTestStore('PostgreSQL', { path, replica })
  const operator = await open('of the operator')
  const callers: TestStore[] = []
  while (callers.length < CALLERS) callers.push(await open(`of caller ${callers.length}`))
  await fc.assert(agrees({ operator, callers }, 'in its turn', 'at once'), { numRuns: 120 })
  expect([operator, ...callers].flatMap(({ events }) => events)).toEqual([])
}, 120_000)
