/** A bounded amount, of which nobody can take all. */
import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { createFairShare } from '../../src/lib/fair-share.ts'

test('who is alone gets half, and the next one half of the rest', () => {
  const share = createFairShare<string>(() => 100)
  const takeAll = (holder: string) => {
    let n = 0
    while (share.take(holder, 1)) n++
    return n
  }
  expect(takeAll('a')).toBe(50)
  expect(takeAll('b')).toBe(25)
  expect(takeAll('c')).toBe(13)
  share.give('a', 50)
  expect(takeAll('d')).toBe(31)
  expect([share.heldBy('b'), share.heldBy('nobody'), share.taken]).toEqual([25, 0, 69])
})

test('nobody gets more than was free, and whatever is taken and given back, the whole is never exceeded', () => {
  const step = fc.record({
    holder: fc.nat(5),
    amount: fc.integer({ min: 1, max: 40 }),
    gives: fc.boolean(),
  })
  fc.assert(
    fc.property(
      fc.array(step, { maxLength: 200 }),
      fc.integer({ min: 2, max: 100 }),
      (steps, max) => {
        const share = createFairShare<number>(() => max)
        const held = new Map<number, number[]>()
        for (const { holder, amount, gives } of steps) {
          const own = held.get(holder) ?? []
          if (gives) {
            const last = own.pop()
            if (last !== undefined) share.give(holder, last)
          } else {
            const free = max - share.taken
            const isFair = share.heldBy(holder) + amount <= free
            expect(share.take(holder, amount)).toBe(isFair)
            if (isFair) own.push(amount)
          }
          held.set(holder, own)
          const sums = [...held.values()].map((list) => list.reduce((sum, n) => sum + n, 0))
          const total = sums.reduce((sum, n) => sum + n, 0)
          expect(share.taken).toBe(total)
          expect(total).toBeLessThanOrEqual(max)
        }
        for (const [holder, list] of held) for (const n of list) share.give(holder, n)
        expect(share.taken).toBe(0)
      },
    ),
  )
})
