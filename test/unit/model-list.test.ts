/** The list of models as a key may see it. */
import { expect, test } from 'bun:test'
import {
  createModelListTap,
  isAboutModels,
  filterModels as show,
  type View,
} from '../../src/proxy/answer/model-list.ts'

const filterModels = (text: string, models: View['models'], aliases: View['aliases'] = {}) =>
  show(text, { models, aliases, asked: null })
const tapFor = (models: View['models']) => createModelListTap({ models, aliases: {}, asked: null })

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

test('a list of more than anybody offers is shown as an empty one to whom it is not meant for in full', () => {
  const many = JSON.stringify({ data: Array(50_000).fill({ id: 'gpt-4o' }) })
  expect(ids(filterModels(many, ['*']))).toEqual([])
  expect(filterModels(many, undefined, { fast: 'x' })).toBe(many)
  const fewer = JSON.stringify({ data: Array(40_000).fill({ id: 'gpt-4o' }) })
  expect(ids(filterModels(fewer, ['*']))).toHaveLength(40_000)
})

test('what is no list is shown as an empty one, never as it is, to whom not everything is open', () => {
  for (const text of ['', 'null', '{}', '{"data":{}}', '{"error":"x"}', '<html>', '{"data":['])
    expect([text, filterModels(text, ['x'])]).toEqual([text, '{"object":"list","data":[]}'])
  expect(filterModels('<html>', undefined)).toBe('<html>')
})

test('lists of every form are cut down', () => {
  const forms = [
    ['[{"id":"gpt-5"},{"id":"gpt-4o"}]', '[{"id":"gpt-4o"}]'],
    ['["gpt-5","gpt-4o"]', '["gpt-4o"]'],
    ['{"models":[{"name":"models/gpt-4o"},{"name":"models/gpt-5"}],"nextPageToken":"x"}', '{"models":[{"name":"models/gpt-4o"}],"nextPageToken":"x"}'],
    ['{"models":[{"name":"gpt-4o:8b","model":"gpt-4o:8b"},{"name":"gpt-5:8b","model":"gpt-4o"}]}', '{"models":[{"name":"gpt-4o:8b","model":"gpt-4o:8b"}]}'],
    ['{"modelSummaries":[{"modelId":"gpt-5"},{"modelId":"gpt-4o-1"}]}', '{"modelSummaries":[{"modelId":"gpt-4o-1"}]}'],
    ['{"data":[{"id":"gpt-5"},{"id":"gpt-4o"}],"first_id":"gpt-5","last_id":"gpt-4o"}', '{"data":[{"id":"gpt-4o"}],"first_id":"gpt-4o","last_id":"gpt-4o"}'],
    ['{"data":[{"id":"gpt-4o"},{"name":"odd"},7,null,{"id":1}]}', '{"data":[{"id":"gpt-4o"}]}'],
    ['{"data":[{"id":"gpt-5","name":"gpt-4o"}],"models":[{"name":"gpt-5"}]}', '{"data":[],"models":[]}'],
  ] as const // biome-ignore format: before and after
  for (const [list, shown] of forms) expect(filterModels(list, ['gpt-4o*'])).toBe(shown)
})

test('an alias stands in lists of every form, as the form names its models, and hides nothing', () => {
  const aliases = { fast: 'gemini-flash', slow: 'not-there' }
  const google = '{"models":[{"name":"models/gemini-pro"},{"name":"models/gemini-flash"}]}'
  expect(filterModels(google, undefined, aliases)).toBe(
    '{"models":[{"name":"models/fast"},{"name":"models/gemini-pro"},{"name":"models/gemini-flash"}]}',
  )
  expect(filterModels(google, ['fast'], aliases)).toBe('{"models":[{"name":"models/fast"}]}')
  expect(filterModels('["gemini-flash"]', ['fast'], aliases)).toBe('["fast"]')
})

test('a single model is shown by the name that it was asked by', () => {
  const aliases = { fast: 'gpt-4o-mini' }
  const model = '{"id":"gpt-4o-mini","object":"model"}'
  const asked = (name: string) => show(model, { models: ['fast', 'gpt-4o*'], aliases, asked: name })
  expect(asked('fast')).toBe('{"id":"fast","object":"model"}')
  expect(asked('gpt-4o-mini')).toBe(model)
})

test('lists are found wherever they stand', () => {
  for (const path of ['/models', '/v1/models', '/v1beta/models', '/api/tags', '/api/ps', '/openai/deployments', '/a/b/models/x', '/foundation-models', '/tunedModels'])
    expect([path, isAboutModels(path)]).toEqual([path, true])
  for (const path of ['/chat/completions', '/modelsx', '/xmodels', '/files'])
    expect([path, isAboutModels(path)]).toEqual([path, false])
}) // biome-ignore format: lists of paths

test('what an unrestricted key is shown of a list that is too long, or no text, are its own bytes', () => {
  const chunk = new Uint8Array(1024 * 1024).fill(0xff)
  const pass = (count: number) => {
    const tap = tapFor(undefined)
    const passed = Array.from({ length: count }, () => tap.pass(chunk) ?? new Uint8Array())
    return Buffer.concat([...passed, tap.flush() ?? new Uint8Array()])
  }
  for (const count of [1, 4, 9])
    expect(pass(count).equals(Buffer.alloc(count * chunk.length, 0xff))).toBe(true)
})

test('nothing passes before the whole list is read, in whatever pieces it comes', () => {
  const tap = tapFor(['o3'])
  for (const byte of Buffer.from(LIST)) expect(tap.pass(Uint8Array.of(byte))).toBeNull()
  expect(ids(Buffer.from(tap.flush() ?? '').toString())).toEqual(['o3'])
})

test('a list that is too long to be read is shown empty, and not kept', () => {
  const tap = tapFor(['o3'])
  for (let n = 0; n < 64; n++) tap.pass(new Uint8Array(1024 * 1024))
  expect(Buffer.from(tap.flush() ?? '').toString()).toBe('{"object":"list","data":[]}')
})
