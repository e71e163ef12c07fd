/** The list of models as a key may see it. */
import { expect, test } from 'bun:test'
import { createModelListTap, filterModels } from '../../src/proxy/answer/model-list.ts'

const LIST = JSON.stringify({
  object: 'list',
  data: [
    { id: 'gpt-4o', object: 'model', owned_by: 'openai' },
    { id: 'gpt-4o-mini', object: 'model' },
    { id: 'o3', object: 'model' },
    { id: 'meta-llama/Llama-3', object: 'model' },
  ],
  has_more: false,
})

const ids = (text: string) =>
  (JSON.parse(text) as { data: { id: string }[] }).data.map(({ id }) => id)

test('a key sees the models that it may use, with all that is said of them', () => {
  expect(ids(filterModels(LIST, ['gpt-4o*'], {}))).toEqual(['gpt-4o', 'gpt-4o-mini'])
  expect(ids(filterModels(LIST, ['*llama*', '*Llama*'], {}))).toEqual(['meta-llama/Llama-3'])
  expect(ids(filterModels(LIST, [], {}))).toEqual([])
  expect(JSON.parse(filterModels(LIST, undefined, {}))).toEqual(JSON.parse(LIST))
  expect(JSON.parse(filterModels(LIST, ['gpt-4o'], {}))).toMatchObject({
    object: 'list', has_more: false, data: [{ id: 'gpt-4o', owned_by: 'openai' }],
  }) // biome-ignore format: one answer
})

test('aliases of models that are there come first, and are under the same restriction', () => {
  const aliases = { fast: 'gpt-4o-mini', gone: 'gpt-2' }
  expect(ids(filterModels(LIST, undefined, aliases))[0]).toBe('fast')
  expect(ids(filterModels(LIST, undefined, aliases))).not.toContain('gone')
  expect(ids(filterModels(LIST, ['fast'], aliases))).toEqual(['fast'])
})

test('a list of more than anybody offers is shown as an empty one', () => {
  const many = JSON.stringify({ data: Array(50_000).fill({ id: 'gpt-4o' }) })
  expect(ids(filterModels(many, undefined, {}))).toEqual([])
  const fewer = JSON.stringify({ data: Array(40_000).fill({ id: 'gpt-4o' }) })
  expect(ids(filterModels(fewer, undefined, {}))).toHaveLength(40_000)
})

test('what is no list is shown as an empty one, never as it is', () => {
  for (const text of [
    '',
    'null',
    '[]',
    '{"data":{}}',
    '{"data":[{"id":1}]}',
    '<html>',
    '{"data":[',
  ])
    expect(filterModels(text, ['x'], {})).toBe('{"object":"list","data":[]}')
})

test('nothing passes before the whole list is read, in whatever pieces it comes', () => {
  const tap = createModelListTap(['o3'], {})
  for (const byte of Buffer.from(LIST)) expect(tap.pass(Uint8Array.of(byte))).toBeNull()
  expect(ids(Buffer.from(tap.flush() ?? '').toString())).toEqual(['o3'])
})

test('a list that is too long to be read is shown empty, and not kept', () => {
  const tap = createModelListTap(['o3'], {})
  for (let n = 0; n < 64; n++) tap.pass(new Uint8Array(1024 * 1024))
  expect(Buffer.from(tap.flush() ?? '').toString()).toBe('{"object":"list","data":[]}')
})
