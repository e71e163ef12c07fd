/**
 * The ledger against its model: everything that can happen, in any order, on real files, and on replicas that share a real
 * PostgreSQL. What callers and operators are told is compared after each event, and the books at the end of each sequence.
 */
import { afterAll, describe, test } from 'bun:test'
import fc from 'fast-check'
import { type Event, event, eventOfReplicas, INSTANTS, limits } from '../support/ledger-events.ts'
import { openFile, openReplicas, type Place } from '../support/ledger-places.ts'
import { compare, conclude, createWorld, happen } from '../support/ledger-world.ts'

const EVENTS_MAX = 40
/** Opening a database costs as much as a sequence, so they share one; their keys are their own. */
const SEQUENCES_PER_PLACE = 30

/** By hand, so many times as many. */
const TIMES = Number(process.env['SEQUENCES'] ?? 1)

type Suite = {
  readonly where: string
  readonly events: fc.Arbitrary<Event>
  readonly open: () => Promise<Place>
  readonly sequences: number
}

const SUITES: readonly Suite[] = [
  // About 40 s on two busy cores; 12,000 have been run without a difference.
  { where: 'on a file', events: event, open: openFile, sequences: 1_500 },
  { where: 'on PostgreSQL', events: eventOfReplicas, open: () => openReplicas(1), sequences: 30 },
  {
    where: 'on PostgreSQL with three replicas',
    events: eventOfReplicas,
    open: () => openReplicas(3),
    sequences: 30,
  },
]

const opened = new Set<Place>()
afterAll(async () => {
  for (const place of opened) await place.close()
})

/** A sequence that fails leaves its place to nobody: what it broke is not the fault of the next. */
function sharing(open: () => Promise<Place>) {
  let shared: { readonly place: Place; left: number } | null = null
  return async (work: (place: Place) => Promise<void>): Promise<void> => {
    const { place, left } = shared ?? { place: await open(), left: SEQUENCES_PER_PLACE }
    opened.add(place)
    shared = null
    await work(place)
    if (left > 1) shared = { place, left: left - 1 }
    else {
      opened.delete(place)
      await place.close()
    }
  }
}

describe.each(SUITES)('$where', ({ events, open, sequences }) => {
  const onShared = sharing(open)
  const sequence = fc.array(events, { maxLength: EVENTS_MAX, size: 'max' })
  const agrees = fc.asyncProperty(
    fc.constantFrom(...INSTANTS),
    limits,
    sequence,
    (at, firstLimits, list) =>
      onShared(async (place) => {
        const world = createWorld(place, at)
        await happen(world, { kind: 'create', limits: firstLimits, replica: 0 })
        for (const [number, one] of list.entries()) {
          await happen(world, one)
          await compare(world, number)
        }
        await conclude(world)
      }),
  )
  test(
    'whatever happens, the ledger agrees with its model and its books balance',
    () => fc.assert(agrees, { numRuns: sequences * TIMES }),
    // Long enough to find the smallest counterexample of a failure.
    { timeout: 300_000 * TIMES },
  )
})
