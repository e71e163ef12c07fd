/** Which calls are read on for when their clients have gone, and for how long. */
import { expect, test } from 'bun:test'
import { startDeadline } from '../../src/proxy/send/deadline.ts'
import { createLeaving } from '../../src/proxy/send/leaving.ts'

const TIMEOUTS = { totalMs: 60_000, firstByteMs: 60_000, idleMs: 60_000 }

/** A call whose answer has begun. */
function begin(leaving = createLeaving(), key = 1) {
  const client = new AbortController()
  const deadline = startDeadline(client.signal, TIMEOUTS, { leaving, key, upstream: 'a' })
  let times = 0
  deadline.answered(null)
  deadline.readOnWith({ readOn: () => void times++ })
  return { deadline, leave: () => client.abort(), times: () => times }
}

test('a call is read on for once, whichever way its leaving is told, and is then one that its client left', () => {
  const { deadline, leave, times } = begin()
  expect([deadline.readsOn(), deadline.cause()]).toEqual([false, null])
  leave()
  deadline.abandon()
  expect([times(), deadline.readsOn(), deadline.cause()]).toEqual([1, true, 'client_aborted'])
  expect(deadline.signal.aborted).toBe(false)
  deadline.end()
})

test('a call that has ended, or whose answer has not begun, is not read on for', () => {
  const ended = begin()
  ended.deadline.end()
  ended.deadline.abandon()
  expect([ended.times(), ended.deadline.signal.aborted]).toEqual([0, true])
  const client = new AbortController()
  const early = startDeadline(client.signal, TIMEOUTS, {
    ...{ leaving: createLeaving(), key: 1, upstream: 'a' },
  })
  client.abort()
  expect([early.readsOn(), early.signal.aborted]).toEqual([false, true])
  early.end()
})

test('no more than 64 calls are read on for at once, and each that ends makes room for one', () => {
  const leaving = createLeaving()
  const calls = Array.from({ length: 65 }, () => begin(leaving))
  for (const { leave } of calls) leave()
  expect(calls.map(({ times }) => times())).toEqual([...Array(64).fill(1), 0])
  calls[0]?.deadline.end()
  const next = begin(leaving)
  next.leave()
  expect(next.times()).toBe(1)
  for (const { deadline } of [...calls, next]) deadline.end()
})

test('the oldest call that is in the way gives way, and no other', () => {
  const leaving = createLeaving()
  const [own, later, other] = [begin(leaving, 1), begin(leaving, 1), begin(leaving, 2)]
  for (const { leave } of [own, later, other]) leave()
  expect(leaving.giveWay(({ key }) => key === 3)).toBe(false)
  expect(leaving.giveWay(({ key, upstream }) => key === 1 && upstream === 'a')).toBe(true)
  expect([own, later, other].map(({ deadline }) => deadline.readsOn())).toEqual([false, true, true])
  expect(own.deadline.signal.aborted).toBe(true)
  for (const { deadline } of [own, later, other]) deadline.end()
})

test('a stop ends reading on, and who is cut off after it has not left', () => {
  const leaving = createLeaving()
  const [gone, stays, late] = [begin(leaving), begin(leaving), begin(leaving)]
  gone.leave()
  leaving.stop()
  late.leave()
  leaving.cutOff()
  stays.leave()
  expect([gone, late, stays].map(({ deadline }) => deadline.cause())).toEqual([
    'client_aborted', 'client_aborted', 'interrupted',
  ]) // biome-ignore format: one answer
  expect([late.times(), stays.times()]).toEqual([0, 0])
  for (const { deadline } of [gone, stays, late]) deadline.end()
})
