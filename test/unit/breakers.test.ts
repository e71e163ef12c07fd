/** When an upstream is given up for a while, and who can bring that about. */
import { afterEach, expect, setSystemTime, test } from 'bun:test'
import { createBreakers, OPEN_MS } from '../../src/proxy/send/breakers.ts'
import type { ForwardResult } from '../../src/proxy/send/forward.ts'

afterEach(() => {
  setSystemTime()
})

const answer = (status: number): ForwardResult => ({
  ok: true,
  response: new Response(null, { status }),
})
const failure = (kind: Extract<ForwardResult, { ok: false }>['failure']): ForwardResult => ({
  ok: false,
  failure: kind,
})

function breakers() {
  const changes: string[] = []
  const subject = createBreakers((upstream, circuit) => changes.push(`${upstream} ${circuit}`))
  let sent = 0
  const send = (result: ForwardResult, patient = true) =>
    subject.attempt('api', patient, async () => {
      sent++
      return result
    })
  return { subject, changes, send, sent: () => sent }
}

test('ten failures in a row open the circuit, and then nothing is sent', async () => {
  const { subject, send, sent, changes } = breakers()
  for (let n = 0; n < 10; n++) expect(await send(failure('upstream_error'))).not.toBeNull()
  expect(subject.stateOf('api')).toBe('open')
  expect(await send(answer(200))).toBeNull()
  expect(sent()).toBe(10)
  expect(changes).toEqual(['api open'])
  expect(subject.stateOf('other')).toBe('closed')
})

test('an answer in between begins the row anew', async () => {
  const { subject, send } = breakers()
  for (let n = 0; n < 50; n++) await send(n % 10 === 9 ? answer(500) : failure('upstream_error'))
  expect(subject.stateOf('api')).toBe('closed')
})

test('after a while one call may try: it closes the circuit or opens it again', async () => {
  const { subject, send, sent } = breakers()
  for (let n = 0; n < 10; n++) await send(answer(503))
  setSystemTime(Date.now() + OPEN_MS + 1)
  const [first, second] = await Promise.all([send(answer(502)), send(answer(200))])
  expect([first === null, second === null]).toEqual([false, true])
  expect(subject.stateOf('api')).toBe('open')
  expect(sent()).toBe(11)

  setSystemTime(Date.now() + OPEN_MS + 1)
  expect(await send(answer(200))).not.toBeNull()
  expect(subject.stateOf('api')).toBe('closed')
})

test('what a client brings about never counts: its own errors, its own haste, its leaving', async () => {
  // Each by itself: one that did not count could hide another, since it begins the row anew.
  for (const result of [
    answer(500),
    answer(429),
    failure('client_aborted'),
    failure('upload_too_large'),
  ]) {
    const { subject, send } = breakers()
    for (let n = 0; n < 30; n++) await send(result)
    expect(subject.stateOf('api')).toBe('closed')
  }
  const { subject, send } = breakers()
  for (let n = 0; n < 30; n++) await send(failure('upstream_timeout'), false)
  expect(subject.stateOf('api')).toBe('closed')
  for (let n = 0; n < 10; n++) await send(failure('upstream_timeout'))
  expect(subject.stateOf('api')).toBe('open')
})
