/** What a request lets a model write, and what paths say of the work behind a call. */
import { describe, expect, test } from 'bun:test'
import {
  reportsIfAsked,
  reportsNothing,
  worksForNothing,
  writesNothing,
} from '../../src/metering/request/work.ts'
import { prepareRequest } from '../../src/metering/request.ts'

const estimate = (body: object, path = '/chat/completions') =>
  prepareRequest(JSON.stringify(body), { path, outputDefault: 1000, aliases: {} }).estimate
const output = (body: object, path?: string) => estimate(body, path).output

describe('what bounds an answer is found where each API has it:', () => {
  const cases: [string, object, number][] = [
    ['Gemini', { generationConfig: { maxOutputTokens: 300 } }, 300],
    ['Gemini, in its other spelling', { generation_config: { max_output_tokens: 300 } }, 300],
    ['Gemini with a schema', { generationConfig: { responseSchema: { enum: Array(5000).fill('x') }, maxOutputTokens: 30 } }, 30],
    ['Gemini with candidates', { generationConfig: { maxOutputTokens: 300, candidateCount: 4 } }, 1200],
    ['Gemini with thought within the bound', { generationConfig: { maxOutputTokens: 300, thinkingConfig: { thinkingBudget: 200 } } }, 300],
    ['Gemini with thought and no bound', { generationConfig: { thinkingConfig: { thinkingBudget: 200 } } }, 1200],
    ['Ollama', { options: { num_predict: 50_000 } }, 50_000],
    ['Ollama without a bound', { options: { num_predict: -1 } }, 1000],
    ['Cohere', { max_tokens: 70, thinking: { type: 'enabled', token_budget: 20 } }, 70],
    ['Converse', { inferenceConfig: { maxTokens: 80 } }, 80],
    ['Titan', { textGenerationConfig: { maxTokenCount: 81 } }, 81],
    ['Responses', { max_output_tokens: 90 }, 90],
    ['DashScope', { parameters: { max_tokens: 91, n: 2 } }, 182],
    ['llama.cpp', { n_predict: 92 }, 92],
    ['Anthropic with thought within the bound', { max_tokens: 4000, thinking: { type: 'enabled', budget_tokens: 2000 } }, 4000],
    ['Qwen with thought on top', { max_tokens: 100, thinking_budget: 500 }, 600],
    ['Qwen with thought alone', { thinking_budget: 500 }, 1500],
  ] // biome-ignore format: a table
  for (const [which, body, tokens] of cases)
    test(which, () => expect(output({ model: 'm', ...body })).toBe(tokens))
})

describe('every answer counts:', () => {
  const prompts = (prompt: unknown, more: object = {}) =>
    output({ model: 'm', prompt, max_tokens: 100, ...more }, '/completions')
  test('of each prompt, and each of several to it', () => {
    expect(prompts('one')).toBe(100)
    expect(prompts(['one', 'two', 'three'])).toBe(300)
    expect(prompts(['one', 'two'], { n: 3 })).toBe(600)
    expect(prompts(['one'], { n: 1, best_of: 5 })).toBe(500)
    expect(prompts(Array(5000).fill('a'))).toBe(500_000)
    expect(prompts([])).toBe(100)
  })

  test('a list of tokens is one prompt, and a list of such lists several', () => {
    expect(prompts([1, 2, 3])).toBe(100)
    expect(prompts([[1, 2], [3, 4], [-5]])).toBe(300)
  })

  test('a tool that is called or takes a prompt is none', () => {
    const tools = [{ name: 'prompt', parameters: { prompt: ['a', 'b'], n: 7 } }, { prompt: {} }]
    expect(output({ model: 'm', max_tokens: 100, tools })).toBe(100)
  })

  test('two prompts in one body could be read in two ways', () => {
    const text = '{"model":"m","prompt":["a","b"],"prompt":"c"}'
    const read = prepareRequest(text, { path: '/completions', outputDefault: 1, aliases: {} })
    expect(read.ambiguous).toBe(true)
  })
})

test('what writes no text is expected to write none', () => {
  for (const path of ['/embeddings', '/v1/embeddings', '/api/embed', '/models/x:embedContent', '/models/x:batchEmbedContents', '/rerank', '/v2/rerank', '/audio/speech', '/audio/speech/', '//embeddings'])
    expect([path, output({ model: 'm' }, path)]).toEqual([path, 0])
  for (const path of ['/audio/transcriptions', '/embeddings/x', '/chat/completions', '/responses'])
    expect([path, writesNothing(path)]).toEqual([path, false])
}) // biome-ignore format: lists of paths

test('paths without work cost nothing, and those that look like them do', () => {
  const free = [
    '/files', '/v1/files', '/files/file-1', '/files/file-1/content', '/upload/v1beta/files', '/v1beta/files/x:register', '/uploads',
    '/uploads/u1/parts', '/uploads/u1/complete', '/vector_stores', '/vector_stores/vs_1/files', '/vector_stores/vs_1/search',
    '/threads', '/threads/t1', '/threads/t1/messages', '/assistants', '/assistants/a1', '/conversations', '/conversations/c1/items',
    '/containers/c1/files', '/moderations', '/chat/moderations', '/messages/count_tokens', '/responses/input_tokens',
    '/models/g:countTokens', '/tokenize', '/detokenize', '/v1/tokenize-text', '/tokenizers/estimate-token-count', '/api/show',
    '/api/pull', '/api/event_logging/batch', '/v1/api/event_logging/batch', '/api/claude_code/metrics', '/api/hello',
    '/chat/completions/chatcmpl-1', '/threads/t1/runs/r1', '/threads/t1/runs/r1/cancel', '/model/anthropic.claude/count-tokens',
  ] // biome-ignore format: a list of paths
  for (const path of free) expect([path, worksForNothing(path, 'POST', '{}')]).toEqual([path, true])
  const work = [
    '/chat/completions', '/completions', '/responses', '/messages', '/messages/batches', '/batches', '/embeddings', '/threads/runs',
    '/threads/t1/runs', '/threads/t1/runs/r1/submit_tool_outputs', '/audio/transcriptions', '/images/edits', '/files/x/y/z',
    '/models/g:generateContent', '/api/generate', '/api/chat', '/fim/completions', '/files-chat', '/myfiles', '/x'.repeat(600),
  ] // biome-ignore format: a list of paths
  for (const path of work)
    expect([path, worksForNothing(path, 'POST', '{}')]).toEqual([path, false])
})

test('a body that asks for work at a path without work is work', () => {
  const chat = '{"messages":[]}'
  expect(worksForNothing('/chat/completions/x', 'POST', chat)).toBe(false)
  expect(worksForNothing('/conversations', 'POST', '{"inputs":"hi"}')).toBe(false)
  expect(worksForNothing('/conversations', 'POST', '{"inp\\u0075ts":"hi"}')).toBe(false)
  // What is not read may hold anything.
  expect(worksForNothing('/conversations', 'POST', null)).toBe(false)
  expect(worksForNothing('/files', 'POST', null)).toBe(true)
})

test('what a stored answer reports is not charged again', () => {
  expect(reportsNothing('/chat/completions/chatcmpl-1', 'POST', '{"metadata":{}}')).toBe(true)
  expect(reportsNothing('/threads/t/runs/r', 'POST', '{}')).toBe(true)
  expect(reportsNothing('/moderations', 'POST', '{}')).toBe(false)
  expect(reportsNothing('/chat/completions', 'POST', '{}')).toBe(false)
})

test('Mistral’s fill-in-the-middle is not asked for usage', () => {
  expect(reportsIfAsked('/fim/completions')).toBe(false)
  expect(reportsIfAsked('/v1/fim/completions')).toBe(false)
  expect(reportsIfAsked('/v1/chat/completions')).toBe(true)
})

test('an alias is replaced among the models to fall back to as well', () => {
  const text = '{"model":"fast","models":["fast","other"]}'
  const options = { path: '/chat/completions', outputDefault: 1, aliases: { fast: 'real/1' } }
  expect(prepareRequest(text, options).body).toBe('{"model":"real/1","models":["real/1","other"]}')
})
