/** A number by its path in an answer. */
import { describe, expect, test } from 'bun:test'
import { readNumber } from '../../src/metering/answer/json-path.ts'

describe('a number by its path', () => {
  const json = { usage: { credits: 7, parts: [{ n: 2.1 }], 'in all': 9, '0': 4 }, list: [1, 2] }
  const found: [path: string, units: number | null][] = [
    ['$.usage.credits', 7],
    ['$.usage.parts[0].n', 3],
    ["$.usage['in all']", 9],
    ["$['usage']['credits']", 7],
    ['$.list[1]', 2],
    ['$.list[2]', null],
    ['$.list.length', null],
    ['$.usage[0]', null],
    ['$.usage', null],
    ['$.toString', null],
    ['$.usage.__proto__', null],
    ['$', null],
    ['', null],
    ['usage.credits', null],
    ['$..credits', null],
    ['$.usage.*', null],
    ['$[?(@.a)]', null],
    ['$.usage.credits ', null],
  ]
  for (const [path, units] of found) {
    test(`${path || 'an empty path'} is ${units}`, () =>
      expect(readNumber(JSON.stringify(json), path)).toBe(units))
  }

  test('is nothing unless it can be charged', () => {
    for (const value of [
      '-1',
      '-0.5',
      '"5"',
      'null',
      'NaN',
      '1e999',
      '9007199254740992',
      '[5]',
      'true',
    ]) {
      expect(readNumber(`{"value":${value}}`, '$.value')).toBeNull()
    }
    expect(readNumber('{"value":0}', '$.value')).toBe(0)
    expect(readNumber('{"value":9007199254740991}', '$.value')).toBe(2 ** 53 - 1)
  })
})
