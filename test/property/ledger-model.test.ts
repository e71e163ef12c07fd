/**
 * The ledger against its model: everything that can happen, in any order, on real files. What callers and operators are
 * told is compared after each event, and the books at the end of each sequence.
 */
import { afterAll, test } from 'bun:test'
import fc from 'fast-check'
import { event, INSTANTS, limits } from '../support/ledger-events.ts'
import {
  compare,
  conclude,
  create,
  createWorld,
  type File,
  happen,
  openFile,
} from '../support/ledger-world.ts'

/** About 40 s on two busy cores; 12,000 have been run without a difference. */
const SEQUENCES = 1_500
const EVENTS_MAX = 40
/** Opening a database costs as much as a sequence, so they share one; their keys are their own. */
const SEQUENCES_PER_FILE = 30

let shared: { readonly file: File; left: number } | null = null
afterAll(() => shared?.file.store.close())

/** A sequence that fails leaves its file to nobody: what it broke is not the fault of the next. */
async function onSharedFile(work: (file: File) => Promise<void>): Promise<void> {
  const { file, left } = shared ?? { file: await openFile(), left: SEQUENCES_PER_FILE }
  shared = null
  await work(file)
  if (left > 1) shared = { file, left: left - 1 }
  else await file.store.close()
}

const sequence = fc.array(event, { maxLength: EVENTS_MAX, size: 'max' })

const agrees = fc.asyncProperty(
  fc.constantFrom(...INSTANTS),
  limits,
  sequence,
  (at, firstLimits, events) =>
    onSharedFile(async (file) => {
      const world = createWorld(file, at)
      await create(world, firstLimits)
      for (const one of events) {
        await happen(world, one)
        await compare(world)
      }
      await conclude(world)
    }),
)

test(
  'whatever happens, the ledger agrees with its model and its books balance',
  () => fc.assert(agrees, { numRuns: SEQUENCES }),
  // Long enough to find the smallest counterexample of a failure.
  { timeout: 300_000 },
)
