/**
 * Measures several things in turn, round after round, so that whatever else happens on the machine happens to all of
 * them. Every second round goes backwards: nothing always follows the same neighbour.
 */
import type { Bench } from '../section.ts'
import type { Server } from '../workspace.ts'
import { type Load, measure, type Sample, type Traffic } from './wrk.ts'

export type Subject = {
  readonly name: string
  readonly server: Server
  readonly traffic: Traffic
}

/** Enough for the JIT to have compiled everything that is hot, and for connections and caches to be filled. */
export const WARM_UP_S = 5

/** Told of a subject that cannot be measured; it is left out from then on, unless this throws. */
export type OnFailure = (subject: Subject, error: unknown) => void

const rethrow: OnFailure = (_, error) => {
  throw error
}

/** At full load, whatever is measured after it. */
export async function warmUp(
  bench: Bench,
  subjects: readonly Subject[],
  onFailure: OnFailure = rethrow,
): Promise<void> {
  const seconds = Math.min(WARM_UP_S, bench.settings.seconds)
  for (const subject of subjects) {
    const { name, server, traffic } = subject
    bench.say(`  warming up: ${name}`)
    try {
      await measure(bench.workspace, server, traffic, { connections: 64, seconds })
    } catch (error) {
      onFailure(subject, error)
    }
  }
}

/** The samples of each subject, in the order of the subjects; one a round, or fewer of one that has failed. */
export async function measureRounds(
  bench: Bench,
  subjects: readonly Subject[],
  load: Load,
  onFailure: OnFailure = rethrow,
): Promise<Sample[][]> {
  const samples: Sample[][] = subjects.map(() => [])
  const failed = new Set<Subject>()
  const order = subjects.map((subject, i) => ({ subject, i }))
  for (let round = 1; round <= bench.settings.rounds; round++) {
    for (const { subject, i } of round % 2 === 0 ? order.toReversed() : order) {
      if (failed.has(subject)) continue
      try {
        const sample = await measure(bench.workspace, subject.server, subject.traffic, load)
        samples[i]?.push(sample)
        bench.say(`  round ${round}/${bench.settings.rounds}  ${shown(subject.name, sample)}`)
      } catch (error) {
        failed.add(subject)
        onFailure(subject, error)
      }
    }
  }
  return samples
}

function shown(name: string, { cpuUs, perSecond, p50Ms, p99Ms }: Sample): string {
  const numbers = [
    `${cpuUs.toFixed(1)} µs`,
    `${perSecond.toFixed(0)}/s`,
    `p50 ${p50Ms.toFixed(2)} ms`,
    `p99 ${p99Ms.toFixed(2)} ms`,
  ]
  return name.padEnd(44) + numbers.map((number) => number.padStart(14)).join('')
}
