/** Cutting one member's text out of an object's; the property test of the envelope tries what nobody thought of. */
import { expect, test } from 'bun:test'
import { childText, picker } from '../../src/lib/json/member.ts'

const cases: [what: string, json: string, found: string][] = [
  ['an object', '{"body":{"a":[1,{"b":2}]},"z":1}', '{"a":[1,{"b":2}]}'],
  ['a list', '{"z":{"body":1},"body":[[],[{}]]}', '[[],[{}]]'],
  ['a number at the end', '{"body":-1.50e+10}', '-1.50e+10'],
  ['a number before a comma', '{"body":0,"z":1}', '0'],
  ['a word before white space', '{"body": true \n}', 'true'],
  ['null', '{"z":[],"body":null }', 'null'],
  ['a string with braces and quotes', '{"body":"}{]\\"[,\\\\"}', '"}{]\\"[,\\\\"'],
  ['an empty string', '{"body":"","z":"body"}', '""'],
  ['an empty object', '{"body":{ }}', '{ }'],
  [
    'white space inside, and none around',
    '\r\n { "body" \t: \n [ 1 , 2 ] \r , "z":1}',
    '[ 1 , 2 ]',
  ],
  ['a name with escapes', '{"\\u0062od\\u0079":1}', '1'],
  ['the last of twins', '{"body":1,"body":{"body":2},"z":3}', '{"body":2}'],
  ['a name that only another value holds', '{"a":"body","b":{"body":1},"body":2}', '2'],
  ['strings with unbalanced brackets on the way', '{"a":"[{","b":["]}"],"body":"x"}', '"x"'],
]
for (const [what, json, found] of cases) {
  test(`finds ${what}`, () => {
    expect(childText(json, 'body')).toBe(found)
    expect(JSON.parse(found)).toEqual(JSON.parse(json).body)
  })
}

test('finds nothing if there is no such member', () => {
  for (const json of ['{}', '{"Body":1}', '{"a":{"body":1}}', '{"a":"body"}']) {
    expect(childText(json, 'body')).toBeNull()
  }
})

test('takes any depth, without recursion', () => {
  const deep = '['.repeat(1_000_000) + ']'.repeat(1_000_000)
  expect(childText(`{"a":${deep},"body":${deep}}`, 'body') === deep).toBe(true)
})

test('picks some members of each item of a list, and of objects in the same place', () => {
  const pick = picker({ list: { '[]': { a: true, b: {} }, a: true }, word: { '[]': true } })
  expect(pick('{"list":[{"a":1,"c":2},{"b":[1]},[],null,7],"word":["x",[2]]}')).toEqual({
    list: [{ a: 1 }, { b: undefined }, undefined, undefined, undefined],
    word: ['x', [2]],
  })
  expect(pick('{"list":{"a":1,"[]":2},"word":"x"}')).toEqual({ list: { a: 1 }, word: undefined })
  expect(pick('{"list":[1,}')).toBeUndefined()
})

test('picks a bounded part of a list that has a million items, each small', () => {
  const pick = picker({ list: { '[]': { a: true } } })
  const picked = pick(`{"list":[${'{"a":1},'.repeat(1e6)}{}]}`) as { list: unknown[] }
  expect(picked.list).toHaveLength(1000)
  const wide = `[${'0,'.repeat(1e5)}0]`
  expect(picker({ '[]': true })(`[${wide},7]`)).toEqual([undefined, 7])
})

test('finds names with capitals as they are written, and no others', () => {
  const pick = picker({ usageMetadata: true, usage: true })
  expect(pick('{"usageMetadata":1,"usagemetadata":2,"USAGE":3,"usage":4}')).toEqual({
    usageMetadata: 1,
    usage: 4,
  })
})
