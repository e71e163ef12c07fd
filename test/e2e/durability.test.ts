/**
 * What DURABILITY promises. A server is traced under load; from the trace come the files that a loss of power at any
 * moment could have left, and each is opened as the next start would, and compared with what clients had been told by
 * then. The last two tests hold the method itself to account.
 */
import { test as bunTest, expect } from 'bun:test'
import { type Aftermath, type Fact, readAftermath } from '../support/aftermath.ts'
import { chanceOf, createDisk, KEEPS, type Keep } from '../support/power-loss.ts'
import { CALLS_TOGETHER, type Durability, type Recording, record } from '../support/recording.ts'
import { type Step, straceObstacle } from '../support/strace.ts'

type Finding = Aftermath & {
  /** The last step before the power went. */
  readonly step: number
  readonly keep: Keep
  /** How many facts had been told by then. */
  readonly told: number
}

const SEED = 20_261_122

/** For a test that hangs; nothing is measured by this. */
const TEST_MS_MAX = 180_000

const obstacle = straceObstacle()

function test(name: string, run: () => Promise<void>): void {
  if (obstacle === null) bunTest(name, run, TEST_MS_MAX)
  else bunTest.skip(`${name} (${obstacle})`, run)
}

test('with DURABILITY=full a loss of power forgets nothing that anybody was told', async () => {
  const findings = await findingsOf('full')
  expect(findings.filter(isBad)).toEqual([])
  const late = findings.filter(({ keep, told }) => keep !== 'everything' && told > CALLS_TOGETHER)
  expect(late.length).toBeGreaterThan(60)
})

test('with DURABILITY=normal a loss of power damages nothing and forgets the newest calls only', async () => {
  const findings = await findingsOf('normal')
  expect(findings.filter(({ damage }) => damage.length > 0)).toEqual([])
  // Had nothing been lost here either, the test above would prove nothing.
  const forgetful = findings.filter(({ lost }) => lost.length > 0)
  for (const keep of ['synced', 'torn'] as const)
    expect(forgetful.filter((one) => one.keep === keep).length).toBeGreaterThan(20)
})

test('the death of the process forgets nothing, whatever DURABILITY is', async () => {
  const findings = [...(await findingsOf('normal')), ...(await findingsOf('full'))]
  const killed = findings.filter(({ keep }) => keep === 'everything')
  expect(killed.length).toBeGreaterThan(100)
  expect(killed.filter(isBad)).toEqual([])
})

test('the trace tells of every byte in the database and of every answer, and of checkpoints under load', async () => {
  for (const durability of ['normal', 'full'] as const) {
    const { steps, facts, files } = await recordingOf(durability)
    // A kill leaves a WAL to be compared; a stop writes all of it into the database.
    const walBytes = files.map(({ image }) => image.get('quota.db-wal')?.length ?? 0)
    expect(walBytes[0]).toBeGreaterThan(0)
    expect(walBytes[1]).toBe(0)
    for (const { after, image } of files) {
      const disk = createDisk()
      for (const step of steps.slice(0, after)) disk.apply(step)
      const traced = disk.image('everything', chanceOf(SEED))
      expect([...traced.keys()]).toEqual([...image.keys()])
      for (const [name, contents] of image) expect(traced.get(name)?.equals(contents)).toBe(true)
    }

    const answered = new Set(
      steps.flatMap((step) => (step.kind === 'answer' ? step.requestIds : [])),
    )
    expect(facts.filter(({ requestId }) => !answered.has(requestId))).toEqual([])
    expect(facts.length).toBeGreaterThan(2 * CALLS_TOGETHER)
    const beginnings = steps.filter(
      (step) => step.kind === 'write' && step.file === 'quota.db-wal' && step.offset === 0,
    )
    expect(beginnings.length).toBeGreaterThan(1)
  }
})

test('an audit notices a disk that only says that it has written the database', async () => {
  const { steps, facts } = await recordingOf('full')
  const disk = createDisk()
  for (const step of steps) {
    const isLie = step.kind === 'sync' && step.file === 'quota.db'
    disk.apply(isLie ? { kind: 'answer', requestIds: [] } : step)
  }
  const chance = chanceOf(SEED)
  const images = Array.from({ length: 20 }, () => disk.image('torn', chance))
  const read = await Promise.all(images.map((image) => readAftermath(image, facts)))
  const damaged = read.filter(({ damage }) => damage.length > 0)
  expect(damaged.length).toBeGreaterThan(5)
})

function isBad({ damage, lost }: Finding): boolean {
  return damage.length + lost.length > 0
}

const recordings = new Map<Durability, Promise<Recording>>()

function recordingOf(durability: Durability): Promise<Recording> {
  return recordings.getOrInsertComputed(durability, record)
}

const findings = new Map<Durability, Promise<Finding[]>>()

function findingsOf(durability: Durability): Promise<Finding[]> {
  return findings.getOrInsertComputed(durability, async () =>
    examine(await recordingOf(durability)),
  )
}

/** The power goes after each of the steps that `cutsOf` chooses, in each of three ways. */
async function examine({ facts, steps }: Recording): Promise<Finding[]> {
  const chance = chanceOf(SEED)
  const cuts = cutsOf(steps)
  const factOf = new Map(facts.map((fact) => [fact.requestId, fact]))
  const told: Fact[] = []
  const disk = createDisk()
  const findings: Finding[] = []
  for (const [index, step] of steps.entries()) {
    disk.apply(step)
    if (step.kind === 'answer') told.push(...step.requestIds.flatMap((id) => factOf.get(id) ?? []))
    if (!cuts.has(index)) continue
    for (const keep of KEEPS) {
      const aftermath = await readAftermath(disk.image(keep, chance), told)
      findings.push({ step: index, keep, told: told.length, ...aftermath })
    }
  }
  return findings
}

/** Evenly all over, right after answers, around syncs, around all but those of the WAL, and at the stop. */
function cutsOf(steps: readonly Step[]): Set<number> {
  const indexesOf = (wanted: (step: Step) => boolean) =>
    steps.flatMap((step, index) => (wanted(step) ? [index] : []))
  const all = indexesOf(() => true)
  const answers = indexesOf(({ kind }) => kind === 'answer')
  const syncs = indexesOf(({ kind }) => kind === 'sync')
  const rare = indexesOf((step) => step.kind === 'sync' && step.file !== 'quota.db-wal')
  return new Set([
    ...thinned(all, 30),
    ...thinned(answers, 20),
    ...[...thinned(syncs, 10), ...rare].flatMap((index) => [index - 1, index]),
    ...all.slice(-5),
  ])
}

/** About `count` of the list, evenly. */
function thinned(list: readonly number[], count: number): number[] {
  const every = Math.max(1, Math.floor(list.length / count))
  return list.filter((_, i) => i % every === every - 1)
}
