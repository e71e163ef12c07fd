/** How often a key may ask about itself. */
import { expect, test } from 'bun:test'
import { ASKED_MAX, limitRate } from '../../src/http/holder-rate.ts'

const time = { ms: 0 }
const guard = limitRate(
  async (headers) => ({ ok: true, key: { seq: Number(headers.get('key')), id: 'key_1' } }),
  () => time.ms,
)

const ask = async (key: number) => {
  const answer = await guard(new Headers({ key: String(key) }))
  return answer.ok ? 'granted' : answer.refusal.retryAfterS
}
const askOften = async (key: number, times: number) => {
  const answers = await Promise.all(Array.from({ length: times }, () => ask(key)))
  return answers.filter((answer) => answer === 'granted').length
}

test('a key may ask sixty times at once and then once a second, whatever the others do', async () => {
  expect(await askOften(1, ASKED_MAX + 5)).toBe(ASKED_MAX)
  expect(await ask(1)).toBe(1)
  expect(await ask(2)).toBe('granted')
  time.ms += 1_000
  expect([await ask(1), await ask(1)]).toEqual(['granted', 1])
  // What is refused is not counted: silence is not asked for.
  time.ms += 10_000
  expect(await askOften(1, 20)).toBe(10)
  time.ms += 3_600_000
  expect(await askOften(1, 2 * ASKED_MAX)).toBe(ASKED_MAX)
})
