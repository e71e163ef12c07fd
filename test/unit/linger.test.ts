/** Listening on to an upstream whose client has gone ends, however much it has to say. */
import { expect, test } from 'bun:test'
import { startLinger } from '../../src/proxy/sockets/linger.ts'
import { until } from '../support/books.ts'

const MEBIBYTE = 1024 * 1024

test('an upstream that says too much is left at once, and once', () => {
  let over = 0
  const linger = startLinger(() => over++)
  for (let n = 0; n < 3; n++) linger.heard(MEBIBYTE)
  expect(over).toBe(0)
  for (let n = 0; n < 3; n++) linger.heard(MEBIBYTE)
  expect(over).toBe(1)
})

test('an upstream that falls silent is left', async () => {
  let over = 0
  startLinger(() => over++).heard(1)
  expect(over).toBe(0)
  await until(() => over > 0)
  expect(over).toBe(1)
})
