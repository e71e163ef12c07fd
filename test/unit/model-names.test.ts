/** How many names of models an hour of the usage may have. */
import { expect, test } from 'bun:test'
import { createModelNames } from '../../src/db/ledger/settle.ts'

const HOUR = 3_600_000

test('names beyond the bound are counted as one; those that came first keep theirs', () => {
  const models = createModelNames()
  const names = Array.from({ length: 600 }, (_, i) => models.of(0, `m${i}`))
  expect(new Set(names).size).toBe(501)
  expect(names.slice(500)).toEqual(Array(100).fill('other'))
  expect(models.of(0, 'm7')).toBe('m7')
  expect(models.of(HOUR, 'm599')).toBe('m599')
})

test('calls of the hour before that still end share the names of the present hour', () => {
  const models = createModelNames()
  models.of(HOUR, 'first')
  const names = Array.from({ length: 600 }, (_, i) => models.of((i % 2) * HOUR, `m${i}`))
  expect(new Set(names).size).toBe(500)
  expect(names.at(-1)).toBe('other')
})
