/** The self-test's judge: it acquits what is right, and catches every way to break a promise by itself. */
import { expect, test } from 'bun:test'
import { audit, FAULTS, type Fault } from '../../src/selftest/audit.ts'
import type {
  Account,
  Answer,
  CallRecord,
  EntryRecord,
  Evidence,
  KeyRecord,
} from '../../src/selftest/evidence.ts'
import { actOf, planStages, seededRandom } from '../../src/selftest/plan.ts'

const KEY = 'key_a'
const KILLED = 1
const ALIVE = 2

type Case = {
  key: KeyRecord
  calls: CallRecord[]
  hits: Map<number, number>
  reads: { key: number; used: number }[]
  holdsAtStart: number[]
  entries: Map<number, EntryRecord>
  account: Account
  integrity: string
  databaseKilled?: boolean
}

/**
 * A key of 3 in three calls and a kill: call 1 is paid, call 2 is cut off by the kill and found interrupted, call 3
 * is paid, call 4 is refused.
 */
function sound(): Case {
  return {
    key: {
      id: KEY,
      amount: 3,
      steady: true,
      drained: true,
      revoking: false,
      revokedAt: null,
    },
    calls: [
      call(1, KILLED, paid(1, 1)),
      call(2, KILLED, null),
      call(3, ALIVE, paid(3, 3)),
      call(4, ALIVE, refused('insufficient_quota')),
    ],
    hits: new Map([1, 2, 3].map((id) => [id, 1])),
    reads: [{ key: 0, used: 2 }],
    holdsAtStart: [0, 0],
    entries: new Map([
      [1, entry('answered', 1)],
      [2, entry('interrupted', 1)],
      [3, entry('answered', 1)],
    ]),
    account: { used: 3, entries: 3, charged: 3, pruned: 0, held: 0, rolledUp: 3 },
    integrity: 'ok',
  }
}

/** A call takes the ten instants from its id on, so that calls follow each other. */
function call(id: number, life: number, answer: Answer | null): CallRecord {
  return { id, key: 0, life, cut: false, begunAt: id * 10, endedAt: id * 10 + 5, answer }
}

function paid(charge: number, used: number): Answer {
  return { status: 200, whole: true, charge, cost: 1, used, code: null }
}

function refunded(charge: number): Answer {
  return { status: 500, whole: true, charge, cost: 0, used: 0, code: null }
}

function refused(code: string): Answer {
  return { status: 429, whole: true, charge: null, cost: 0, used: 3, code }
}

function entry(outcome: string, charged: number): EntryRecord {
  return { keyId: KEY, charged, outcome }
}

function judge({ key, entries, account, integrity, ...rest }: Case) {
  const books = { entries, accounts: new Map([[KEY, account]]), integrity }
  const killed = new Set([KILLED])
  const evidence: Evidence = { databaseKilled: false, ...rest, keys: [key], killed, books }
  return audit(evidence)
}

test('what is right is acquitted', () => {
  expect(judge(sound())).toEqual([])
})

/** Each changes the sound case in one way, and names all faults that follow from it. */
const CRIMES: readonly { name: string; change: (one: Case) => void; faults: readonly Fault[] }[] = [
  {
    name: 'the counter passed the amount',
    change: (one) => {
      one.key = { ...one.key, amount: 2, drained: false }
      one.calls = one.calls.slice(0, 3)
    },
    faults: ['oversold'],
  },
  {
    name: 'the admin read more than the amount for a moment',
    change: (one) => one.reads.push({ key: 0, used: 4 }),
    faults: ['oversold'],
  },
  {
    name: 'a client was told of more than the amount',
    change: (one) => {
      one.calls[2] = call(3, ALIVE, paid(3, 4))
    },
    faults: ['oversold'],
  },
  {
    name: 'a charge told to a client is not in the ledger',
    change: (one) => one.entries.delete(1),
    faults: ['lost'],
  },
  {
    name: 'a charge told to a client is charged to another key',
    change: (one) => one.entries.set(1, { ...entry('answered', 1), keyId: 'key_b' }),
    faults: ['lost'],
  },
  {
    name: 'a charge told to a client is in the ledger for nothing',
    change: (one) => one.entries.set(1, entry('answered', 0)),
    faults: ['lost'],
  },
  {
    name: 'the counter went back in the crash',
    change: (one) => {
      one.calls = one.calls.slice(0, 3)
      one.key = { ...one.key, drained: false }
      one.account = { ...one.account, used: 1, charged: 1, rolledUp: 1 }
    },
    faults: ['lost'],
  },
  {
    name: 'the counter charges what nobody asked for',
    change: (one) => {
      one.calls = one.calls.filter(({ id }) => id !== 2)
      one.entries.delete(2)
      one.account = { ...one.account, entries: 2 }
    },
    faults: ['phantom'],
  },
  {
    name: 'the ledger holds a call that nobody made',
    change: (one) => {
      one.account = { ...one.account, entries: 4 }
    },
    faults: ['phantom'],
  },
  {
    name: 'one unit less than the amount was granted',
    change: (one) => {
      one.key = { ...one.key, amount: 4 }
    },
    faults: ['short'],
  },
  {
    name: 'a key that was never refused got less than was asked for',
    change: (one) => {
      one.key = { ...one.key, amount: 4 }
      one.calls = one.calls.slice(0, 3)
    },
    faults: ['short'],
  },
  {
    name: 'a call was granted after the quota was said to be used up',
    change: (one) => one.calls.push({ ...call(0, ALIVE, refused('insufficient_quota')) }),
    faults: ['short'],
  },
  {
    name: 'a call reached the upstream twice',
    change: (one) => {
      one.hits.set(3, 2)
      // An entry to spare, so that only the repetition is wrong.
      one.calls.push(call(5, KILLED, null))
      one.account = { ...one.account, entries: 4 }
    },
    faults: ['double'],
  },
  {
    name: 'a refused call reached the upstream',
    change: (one) => {
      one.hits.set(4, 1)
      one.hits.delete(2)
    },
    faults: ['double'],
  },
  {
    name: 'a call reached the upstream without an entry',
    change: (one) => {
      one.calls.push(call(5, KILLED, null))
      one.hits.set(5, 1)
    },
    faults: ['double'],
  },
  {
    name: 'two calls were told the same ledger entry',
    change: (one) => {
      one.calls[2] = call(3, ALIVE, paid(1, 3))
    },
    faults: ['repeated'],
  },
  {
    name: 'a later call was told a smaller number',
    change: (one) => {
      one.calls[0] = call(1, KILLED, paid(1, 3))
      one.calls[2] = call(3, ALIVE, paid(3, 1))
    },
    faults: ['disorder'],
  },
  {
    name: 'two overlapping calls were told the same number',
    change: (one) => {
      one.calls[0] = { ...call(1, KILLED, paid(1, 3)), endedAt: 100 }
    },
    faults: ['disorder'],
  },
  {
    name: 'the ledger does not add up to the counter',
    change: (one) => {
      one.account = { ...one.account, charged: 2, rolledUp: 2 }
    },
    faults: ['unbalanced'],
  },
  {
    name: 'the rollup does not add up to the ledger',
    change: (one) => {
      one.account = { ...one.account, rolledUp: 4 }
    },
    faults: ['unbalanced'],
  },
  {
    name: 'a restart left a hold open',
    change: (one) => one.holdsAtStart.push(1),
    faults: ['leaked'],
  },
  {
    name: 'the last stop left a hold open',
    change: (one) => {
      one.account = { ...one.account, charged: 2, rolledUp: 2, held: 1 }
    },
    faults: ['leaked'],
  },
  {
    name: 'a refund told to a client was not made',
    change: (one) => {
      one.key = { ...one.key, steady: false }
      one.calls[2] = call(3, ALIVE, refunded(3))
    },
    faults: ['unrefunded'],
  },
  {
    name: 'a call was let in after its key had been revoked',
    change: (one) => {
      one.key = { ...one.key, revoking: true, revokedAt: 29 }
    },
    faults: ['revoked'],
  },
  {
    name: 'a call was refused for a reason that does not exist here',
    change: (one) => one.calls.push(call(5, ALIVE, refused('storage_unavailable'))),
    faults: ['unexpected'],
  },
  {
    name: 'a key was said to be disabled that was not',
    change: (one) => one.calls.push(call(5, ALIVE, refused('api_key_disabled'))),
    faults: ['unexpected'],
  },
  {
    name: 'a server that lived gave no answer',
    change: (one) => one.calls.push(call(5, ALIVE, null)),
    faults: ['unexpected'],
  },
  {
    name: 'an answer of a server that lived was cut off',
    change: (one) => {
      one.calls[2] = call(3, ALIVE, { ...paid(3, 3), whole: false })
    },
    faults: ['unexpected'],
  },
  {
    name: 'the failure of an upstream was charged',
    change: (one) => {
      one.key = { ...one.key, steady: false }
      one.calls[2] = call(3, ALIVE, { ...paid(3, 3), status: 502 })
    },
    faults: ['unexpected'],
  },
  {
    name: 'the database is damaged',
    change: (one) => {
      one.integrity = 'row 3 missing from index calls_by_key'
    },
    faults: ['corrupt'],
  },
]

for (const { name, change, faults } of CRIMES) {
  test(`it is caught that ${name}: ${faults.join(', ')}`, () => {
    const one = sound()
    change(one)
    const found = judge(one)
    expect([...new Set(found.map(({ fault }) => fault))]).toEqual([...faults])
    for (const { units, text } of found) {
      expect(units).toBeGreaterThan(0)
      expect(text).not.toBeEmpty()
    }
  })
}

test('every fault has a case; the one that is no comparison is reported by the run', () => {
  const caught = new Set(CRIMES.flatMap(({ faults }) => faults))
  const missing = Object.keys(FAULTS).filter((fault) => !caught.has(fault as Fault))
  expect(missing).toEqual(['unfinished'])
})

test('a refund that a kill kept from being written is no crime, nor is an answer that it cut off', () => {
  const one = sound()
  one.key = { ...one.key, steady: false }
  one.calls[0] = call(1, KILLED, refunded(1))
  one.entries.set(1, entry('interrupted', 1))
  expect(judge(one)).toEqual([])

  const other = sound()
  other.calls[0] = call(1, KILLED, { ...paid(1, 1), whole: false })
  expect(judge(other)).toEqual([])
})

/** As in the sound case, but call 2 was told that the database was away, and stands in the books as interrupted. */
function undecidedCase(): Case {
  const one = sound()
  one.calls[1] = call(2, KILLED, { ...refused('storage_unavailable'), status: 503, used: null })
  one.hits.delete(2)
  return one
}

test('a call that was refused while the database was away may be charged as interrupted, and only then', () => {
  expect(judge({ ...undecidedCase(), databaseKilled: true })).toEqual([])
  expect(faultsOf(undecidedCase())).toEqual(['phantom', 'unexpected'])

  const answered = { ...undecidedCase(), databaseKilled: true }
  answered.entries.set(2, entry('answered', 1))
  expect(faultsOf(answered)).toEqual(['phantom'])

  const sent = { ...undecidedCase(), databaseKilled: true }
  sent.hits.set(2, 1)
  expect(faultsOf(sent)).toEqual(['double'])
})

function faultsOf(one: Case): Fault[] {
  return [...new Set(judge(one).map(({ fault }) => fault))].toSorted()
}

test('the reset of a call that its upstream broke off may overtake the answer', () => {
  const one = sound()
  one.calls[2] = { ...call(3, ALIVE, null), cut: true }
  expect(judge(one)).toEqual([])
})

test('twice the amount always uses a key up, wherever the count begins', () => {
  for (const steady of [true, false]) {
    for (let amount = 1; amount <= 40; amount++) {
      for (let begin = 0; begin < 16; begin++) {
        const asked = 2 * amount + (begin === 0 ? 0 : 8)
        const acts = Array.from({ length: asked }, (_, n) => actOf(steady, begin + n))
        const charged = acts.filter((act) => act !== 'fail' && act !== 'reset')
        expect(charged.length).toBeGreaterThanOrEqual(amount)
      }
    }
  }
})

test('the calls asked for are spread from one client to all, on equal plans for equal seeds', () => {
  const options = { clients: 500, keys: 50, calls: 100_000 }
  const stages = planStages(options, seededRandom(7))
  expect(stages).toEqual(planStages(options, seededRandom(7)))
  expect(stages).not.toEqual(planStages(options, seededRandom(8)))
  expect(stages.map(({ clients }) => clients)).toEqual([1, 4, 16, 64, 256, 500])
  const calls = stages
    .flatMap(({ amounts }) => amounts)
    .reduce((sum, amount) => sum + 2 * amount, 0)
  expect(calls).toBeWithin(80_000, 120_000)
})
