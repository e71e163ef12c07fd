/** What the self-test will do, from its options and a seed. Pure; the seed repeats the plan, though not the timing. */
import type { Act } from './upstream.ts'

/** A number from 0 to 1, as Math.random gives it. */
export type Random = () => number

/** Mulberry32: 32 bits of state are enough to spread kills and quotas, and it is the same everywhere. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let bits = Math.imul(state ^ (state >>> 15), state | 1)
    bits ^= bits + Math.imul(bits ^ (bits >>> 7), bits | 61)
    return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32
  }
}

/** A whole number from `min` to `max`. */
export function integerBetween(random: Random, min: number, max: number): number {
  return min + Math.floor(random() * (max - min + 1))
}

/**
 * What the upstream does with the n-th call of a key. By count, not by chance: of any eight calls in a row at least six
 * are charged, so that twice the amount is always enough to use it up.
 */
export function actOf(steady: boolean, n: number): Act {
  if (!steady && n % 8 === 1) return 'fail'
  if (!steady && n % 8 === 5) return 'reset'
  if (!steady && n % 16 === 11) return 'cut'
  if (n % 16 === 3) return 'stream'
  return n % 16 === 7 ? 'slow' : 'ok'
}

/** Some clients at a time on keys of their own, each of which is asked for twice its amount. */
export type Stage = { readonly clients: number; readonly amounts: readonly number[] }

/** From one client at a time to all of them; the more clients, the more of the calls. */
export function planStages(
  { clients, keys, calls }: { clients: number; keys: number; calls: number },
  random: Random,
): Stage[] {
  const sizes: number[] = []
  for (let size = 1; size < clients; size *= 4) sizes.push(size)
  sizes.push(clients)
  const weights = sizes.map((size) => 1 + Math.log2(size))
  const total = weights.reduce((sum, weight) => sum + weight, 0)
  const keysEach = Math.max(1, Math.round(keys / sizes.length))
  return sizes.map((size, i) => {
    const amount = (calls * (weights[i] ?? 0)) / total / keysEach / 2
    // Unequal, so that some keys run out while others are still half full.
    const amounts = Array.from({ length: keysEach }, () => amount * (0.5 + random()))
    return { clients: size, amounts: amounts.map((each) => Math.max(1, Math.round(each))) }
  })
}
