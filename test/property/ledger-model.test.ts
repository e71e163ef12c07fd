/**
 * The ledger against its model: everything that can happen, in any order, on real files. What callers and operators are
 * told is compared after each event, and the books at the end of each sequence.
 */
import { afterAll, test } from 'bun:test'
import fc from 'fast-check'
import { event, INSTANTS, limits } from '../support/ledger-events.ts'
import { compare, create, createWorld, endAll, type File, happen, openFile } from '../support/ledger-world.ts'

/** About half a minute on two slow cores. */
const SEQUENCES = 1_500
const EVENTS_MAX = 40
/** Opening a database costs as much as a sequence, so they share one; their keys are their own. */
const SEQUENCES_PER_FILE = 100

let shared: { readonly file: File; left: number } | null = null
afterAll(() => shared?.file.store.close())

/** A sequence that fails leaves its file to nobody: what it broke is not the fault of the next. */
async function onSharedFile(work: (file: File) => Promise<void>): Promise<void> {
  const { file, left } = shared ?? { file: openFile(newPath()), left: SEQUENCES_PER_FILE }
  shared = null
  await work(file)
  if (left > 1) shared = { file, left: left - 1 }
  else file.store.close()
}

const sequence = fc.array(event, { maxLength: EVENTS_MAX, size: 'max' })

test(
  'whatever happens, the ledger agrees with its model and its books balance',
  async () => {
    const anything = fc.asyncProperty(
      fc.constantFrom(...INSTANTS),
      limits,
      sequence,
      (at, list, events) =>
        onSharedFile(async (file) => {
          const world: World = { at, model: createModel(), file, keys: new Map(), holds: new Map() }
          create(world, list)
          for (const one of events) {
            await happen(world, one)
            compare(world)
          }
          for (const [key, { seq }] of world.keys) {
            checkBooks(
              file.path,
              seq,
              world.model.calls.filter((call) => call.key === key),
            )
          }
          const end = {
            outcome: 'answered',
            status: 200,
            charged: NO_UNITS,
            latencyMs: 0,
            bytesIn: 0,
            bytesOut: 0,
          } as const
          await Promise.all(
            [...world.holds.values()].map((hold) => file.store.ledger.settle(hold, end)),
          )
        }),
    )
    await fc.assert(anything, { numRuns: SEQUENCES })
  },
  // Long enough to find the smallest counterexample of a failure.
  { timeout: 300_000 },
)
