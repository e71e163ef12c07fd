/** Whether what was sampled over a soak has stayed flat. Pure. */
import { quantile } from '../report/statistics.ts'

export type Sample = {
  /** Seconds since the start. */
  readonly atS: number
  readonly residentMiB: number
  readonly files: number
}

export type Trend = {
  /** What the median slope adds up to between the first and the last sample that count. */
  readonly growthMiB: number
  readonly medianMiB: number
  readonly filesAtFirst: number
  readonly filesAtLast: number
  readonly flat: boolean
}

/** Caches, the JIT and the heap's own pools have filled by then. */
const WARM_UP_SHARE = 0.25

/** Below a tenth, or 16 MiB, the garbage collector's own rhythm cannot be told from growth. */
const GROWTH_MIB_MAX = 16
const GROWTH_SHARE_MAX = 0.1

/** Connections that happen to be open at the moment of a sample. */
const FILES_MAX = 10

/** Samples of the middle and not of the edges: slopes between all pairs, of which the median is taken (Theil and Sen). */
export function judge(samples: readonly Sample[]): Trend {
  const counted = samples.slice(Math.floor(samples.length * WARM_UP_SHARE))
  const first = counted.at(0)
  const last = counted.at(-1)
  if (!first || !last || counted.length < 4) throw new Error('There are too few samples to judge.')
  const slopes = counted.flatMap((a, i) =>
    counted.slice(i + 1).map((b) => (b.residentMiB - a.residentMiB) / (b.atS - a.atS)),
  )
  const growthMiB = quantile(slopes, 0.5) * (last.atS - first.atS)
  const medianMiB = quantile(
    counted.map(({ residentMiB }) => residentMiB),
    0.5,
  )
  const quarter = Math.ceil(counted.length / 4)
  const files = (part: readonly Sample[]) =>
    quantile(
      part.map((sample) => sample.files),
      0.5,
    )
  const filesAtFirst = files(counted.slice(0, quarter))
  const filesAtLast = files(counted.slice(-quarter))
  const flat =
    growthMiB <= Math.max(GROWTH_MIB_MAX, medianMiB * GROWTH_SHARE_MAX) &&
    filesAtLast - filesAtFirst <= FILES_MAX
  return { growthMiB, medianMiB, filesAtFirst, filesAtLast, flat }
}
