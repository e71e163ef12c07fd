/** When an upstream is given up for a while, and who can bring that about. */
import { expect, test } from 'bun:test'
import { createBreakers, OPEN_MS } from '../../src/proxy/send/breakers.ts'
import type { ForwardFailure, ForwardResult } from '../../src/proxy/send/forward.ts'

const answer = (status: number): ForwardResult => ({
  ok: true,
  response: new Response(null, { status }),
})
const failure = (kind: ForwardFailure): ForwardResult => ({ ok: false, failure: kind })

function breakers() {
  const changes: string[] = []
  let at = 1_000
  const subject = createBreakers(
    (upstream, circuit) => changes.push(`${upstream} ${circuit}`),
    () => at,
  )
  let sent = 0
  const attempt = { upstream: 'api', timeoutBlamesUpstream: true }
  const run = (
    key: number,
    result: ForwardResult | Promise<ForwardResult>,
    timeoutBlamesUpstream = true,
  ) =>
    subject.attempt({ ...attempt, key, timeoutBlamesUpstream }, async () => {
      sent++
      return await result
    })
  return {
    ...{ subject, changes, run, sent: () => sent },
    state: () => subject.stateOf('api'),
    wait(ms: number) {
      at += ms
    },
    async open() {
      for (let n = 0; n < 10; n++) await run(1, failure('unreachable'))
      expect(subject.stateOf('api')).toBe('open')
    },
  }
}

/** What a request may have brought about. */
const OF_KEYS = [answer(502), answer(503), answer(504), failure('upstream_error')] as const

test('ten connections that fail in a row open the circuit, whoever calls, and then nothing is sent', async () => {
  const { subject, run, sent, changes, state } = breakers()
  for (let n = 0; n < 10; n++) {
    expect(state()).toBe('closed')
    expect(await run(1, failure('unreachable'))).not.toBeNull()
  }
  expect(state()).toBe('open')
  expect(await run(2, answer(200))).toBeNull()
  expect(sent()).toBe(10)
  expect(changes).toEqual(['api open'])
  expect(subject.stateOf('other')).toBe('closed')
})

test('one key alone opens no circuit by what its calls may have brought about, and neither do two', async () => {
  for (const result of [...OF_KEYS, failure('upstream_timeout')]) {
    const { run, state } = breakers()
    for (let n = 0; n < 100; n++) await run(n % 2, result)
    expect(state()).toBe('closed')
    await run(2, result)
    await run(3, result)
    expect(state()).toBe('open')
  }
})

test('an answer in between begins the row anew', async () => {
  const { run, state } = breakers()
  for (let n = 0; n < 50; n++) await run(n, n % 10 === 9 ? answer(500) : failure('upstream_error'))
  for (let n = 0; n < 9; n++) await run(n, failure('unreachable'))
  expect(state()).toBe('closed')
})

test('what never reached the upstream never counts, nor what a client brings about: its errors, its haste, its leaving', async () => {
  // Each by itself: one that did not count could hide another, since it begins the row anew.
  for (const result of [
    ...[answer(500), answer(429), answer(401)],
    ...(
      ['client_aborted', 'upload_too_large', 'unsendable', 'no_socket', 'never_sent'] as const
    ).map(failure),
  ]) {
    const { run, state } = breakers()
    for (let n = 0; n < 30; n++) await run(n, result)
    expect(state()).toBe('closed')
  }
  const { run, state } = breakers()
  for (let n = 0; n < 30; n++) await run(n, failure('upstream_timeout'), false)
  expect(state()).toBe('closed')
})

test('after a while a call may try: an answer closes the circuit', async () => {
  const { run, wait, state, open, changes } = breakers()
  await open()
  wait(OPEN_MS - 1)
  expect(await run(1, answer(200))).toBeNull()
  wait(1)
  expect(await run(1, answer(404))).not.toBeNull()
  expect(state()).toBe('closed')
  expect(changes).toEqual(['api open', 'api half_open', 'api closed'])
})

test('a connection that fails again opens the circuit again, whoever tries', async () => {
  const { run, wait, state, open } = breakers()
  await open()
  wait(OPEN_MS)
  await run(1, failure('unreachable'))
  expect(state()).toBe('open')
  expect(await run(2, answer(200))).toBeNull()
})

test('no key keeps a circuit open by trials that fail for what it sends', async () => {
  for (const result of OF_KEYS) {
    const { run, wait, state, open } = breakers()
    await open()
    wait(OPEN_MS)
    for (let n = 0; n < 20; n++) expect(await run(1, result)).not.toBeNull()
    expect(state()).toBe('half_open')
    // Two keys that fail are evidence.
    await run(2, result)
    expect(state()).toBe('open')
  }
})

test('a trial that hangs holds up neither other keys nor, after a while, its own', async () => {
  const { run, wait, state, open, sent } = breakers()
  await open()
  wait(OPEN_MS)
  const never = Promise.withResolvers<ForwardResult>()
  void run(1, never.promise)
  expect(await run(1, answer(200))).toBeNull()
  expect(await run(2, failure('client_aborted'))).not.toBeNull()
  void run(3, never.promise)
  void run(4, never.promise)
  // No more than three at once.
  expect(await run(5, answer(200))).toBeNull()
  wait(OPEN_MS)
  expect(sent()).toBe(14)
  expect(await run(5, answer(200))).not.toBeNull()
  expect(state()).toBe('closed')
})
