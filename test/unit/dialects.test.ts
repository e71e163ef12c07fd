/** What each API reports, in bodies as they really look: whole answers, and the events of their streams. */
import { expect, test } from 'bun:test'
import { SIGNS } from '../../src/metering/dialects/table.ts'
import { tell, tellWhole } from '../support/reports.ts'

/** As an answer of chat without anything else. */
const chat = (usage: unknown, more: object = {}) => ({ choices: [], ...more, usage })

tell('OpenAI chat', [
  [
    'a whole answer, its sound and its cache',
    [
      {
        id: 'chatcmpl-B9',
        object: 'chat.completion',
        model: 'gpt-4o-audio',
        choices: [{ index: 0, message: { role: 'assistant', content: 'Hi' } }],
        usage: {
          prompt_tokens: 1117,
          completion_tokens: 346,
          total_tokens: 1463,
          prompt_tokens_details: { cached_tokens: 1024, audio_tokens: 60, cache_write_tokens: 20 },
          completion_tokens_details: { reasoning_tokens: 128, audio_tokens: 100 },
        },
      },
    ],
    {
      model: 'gpt-4o-audio',
      input: 1117,
      output: 346,
      cached: 1024,
      reasoning: 128,
      parts: { audioInput: 60, cacheWritten5m: 20, audioOutput: 100 },
    },
  ],
  [
    'a stream with usage null until its end',
    [
      chat(null, { model: 'gpt-4o' }),
      chat({ prompt_tokens: 5, completion_tokens: 7, total_tokens: 12 }),
    ],
    { model: 'gpt-4o', input: 5, output: 7 },
  ],
  [
    'embeddings, which write nothing',
    [{ data: [{ embedding: [0.1] }], usage: { prompt_tokens: 8, total_tokens: 8 } }],
    { input: 8, output: 0 },
  ],
  [
    'embeddings that say no total',
    [{ data: [{ embedding: [0.1] }], usage: { prompt_tokens: 8 } }],
    { input: 8, output: 0 },
  ],
  ['half a report, while the answer is being written', [chat({ prompt_tokens: 8 })], { input: 8 }],
  ['the other half', [chat({ completion_tokens: 8 })], { output: 8 }],
  [
    'a half that the total completes',
    [chat({ prompt_tokens: 20, total_tokens: 90 })],
    { input: 20, output: 70 },
  ],
  [
    'the other half that the total completes',
    [chat({ completion_tokens: 70, total_tokens: 90 })],
    { input: 20, output: 70 },
  ],
  [
    'zeros that the total completes',
    [chat({ prompt_tokens: 0, completion_tokens: 70, total_tokens: 90 })],
    { input: 20, output: 70 },
  ],
  ['numbers as text', [chat({ prompt_tokens: '12', completion_tokens: '7.0' })], { input: 12, output: 7 }],
  ['honest zeros', [chat({ prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 })], { input: 0, output: 0 }],
]) // biome-ignore format: a table

tell('a total beyond what is named', [
  [
    'is what was thought, if it is as much (xAI)',
    [
      chat({
        prompt_tokens: 10120,
        completion_tokens: 1499,
        total_tokens: 14428,
        prompt_tokens_details: { cached_tokens: 128 },
        completion_tokens_details: { reasoning_tokens: 2809 },
      }),
    ],
    { input: 10120, output: 4308, cached: 128, reasoning: 2809 },
  ],
  [
    'is the cache, if the prompt leaves that out',
    [chat({ prompt_tokens: 4, completion_tokens: 30, total_tokens: 934, prompt_tokens_details: { cached_tokens: 900 } })],
    { input: 904, output: 30, cached: 900 },
  ],
  [
    'is the cache, if it is as much, though the prompt is larger',
    [chat({ prompt_tokens: 3000, completion_tokens: 10, total_tokens: 5010, cached_tokens: 2000 })],
    { input: 5000, output: 10, cached: 2000 },
  ],
  [
    'is what was written to the cache',
    [chat({ prompt_tokens: 50, completion_tokens: 7, total_tokens: 2057, cache_creation_input_tokens: 2000, cache_read_input_tokens: 0 })],
    { input: 2050, output: 7, cached: 0, parts: { cacheWritten5m: 2000 } },
  ],
  [
    'is both thought and cache',
    [
      chat({
        prompt_tokens: 10,
        completion_tokens: 100,
        total_tokens: 660,
        cache_read_input_tokens: 500,
        completion_tokens_details: { reasoning_tokens: 50 },
      }),
    ],
    { input: 510, output: 150, cached: 500, reasoning: 50 },
  ],
  [
    'is nobody’s, if nothing is as much',
    [chat({ prompt_tokens: 10, completion_tokens: 20, total_tokens: 999 }, { model: 'gpt-5' })],
    { model: 'gpt-5', input: 10, output: 20 },
  ],
  [
    'is what was thought of Gemini, whose model another event names',
    [
      chat(null, { model: 'google/gemini-3-pro' }),
      chat({ prompt_tokens: 10, completion_tokens: 20, total_tokens: 999 }),
    ],
    { model: 'google/gemini-3-pro', input: 10, output: 989 },
  ],
  [
    'is not there, where the total leaves out the cache',
    [chat({ prompt_tokens: 5000, completion_tokens: 20, total_tokens: 120, prompt_tokens_details: { cached_tokens: 4900 } })],
    { input: 5000, output: 20, cached: 4900 },
  ],
  [
    'is not there, and a part larger than the whole shows that the whole leaves it out',
    [chat({ prompt_tokens: 5, completion_tokens: 2, cached_tokens: 50, completion_tokens_details: { reasoning_tokens: 20 } })],
    { input: 55, output: 22, cached: 50, reasoning: 20 },
  ],
]) // biome-ignore format: a table

tell('two families of names in one object', [
  [
    'count by the one that is not zero',
    [chat({ prompt_tokens: 0, completion_tokens: 0, total_tokens: 91, input_tokens: 83, output_tokens: 8 })],
    { input: 83, output: 8 },
  ],
  [
    'count by the one that is not zero, the other way round',
    [chat({ prompt_tokens: 21, completion_tokens: 5, total_tokens: 26, input_tokens: 0, output_tokens: 0 })],
    { input: 21, output: 5 },
  ],
  [
    'count by each number',
    [chat({ prompt_tokens: 0, completion_tokens: 40, total_tokens: 940, input_tokens: 900, output_tokens: 0 })],
    { input: 900, output: 40 },
  ],
  [
    'count once, not twice',
    [chat({ prompt_tokens: 12, completion_tokens: 4, input_tokens: 12, output_tokens: 4, cache_read_input_tokens: 8 })],
    { input: 12, output: 4, cached: 8 },
  ],
  [
    'may be zeros beside Anthropic’s',
    [chat({ prompt_tokens: 0, completion_tokens: 0, total_tokens: 0, input_tokens: 10, output_tokens: 4, cache_read_input_tokens: 8 })],
    { input: 18, output: 4, cached: 8 },
  ],
]) // biome-ignore format: a table

const running = (count: number) =>
  chat({ prompt_tokens: 5, completion_tokens: count, total_tokens: 5 + count })

tell('usage in every event', [
  ['counts by its last', [1, 2, 3].map(running), { input: 5, output: 3 }],
  ['is not taken back by zeros', [running(30), chat({ prompt_tokens: 0, completion_tokens: 0 })], { input: 5, output: 30 }],
  ['is not taken back by null', [running(30), chat(null), chat({ prompt_tokens: null })], { input: 5, output: 30 }],
  ['is not taken back by an error', [running(3), { error: { message: 'x' }, usage: { prompt_tokens: 0, total_tokens: 0 } }], { input: 5, output: 3 }],
]) // biome-ignore format: a table

tell('those who speak like OpenAI', [
  [
    'DeepSeek: hit and miss',
    [chat({ prompt_tokens: 100, completion_tokens: 9, total_tokens: 109, prompt_cache_hit_tokens: 64, prompt_cache_miss_tokens: 36 })],
    { input: 100, output: 9, cached: 64 },
  ],
  [
    'DeepSeek: hit and miss alone',
    [chat({ completion_tokens: 9, prompt_cache_hit_tokens: 64, prompt_cache_miss_tokens: 36 })],
    { input: 100, output: 9, cached: 64 },
  ],
  [
    'Moonshot: usage inside the last choice',
    [{ choices: [{ index: 0, delta: {}, usage: { prompt_tokens: 19, completion_tokens: 13, total_tokens: 32, cached_tokens: 10 } }] }],
    { input: 19, output: 13, cached: 10 },
  ],
  ['Groq: usage in x_groq', [{ choices: [], x_groq: { id: 'r', usage: { prompt_tokens: 18, completion_tokens: 7, total_tokens: 25 } } }], { input: 18, output: 7 }],
  [
    'Mistral: sound and what tools have read',
    [chat({ prompt_tokens: 30, completion_tokens: 4, total_tokens: 134, connector_tokens: 100, prompt_audio_seconds: 9, num_cached_tokens: 16 })],
    { input: 130, output: 4, cached: 16, parts: { seconds: 9 } },
  ],
  [
    'Zhipu: as OpenAI',
    [chat({ prompt_tokens: 30, completion_tokens: 4, total_tokens: 34, prompt_tokens_details: { cached_tokens: 16 } }, { model: 'glm-5' })],
    { model: 'glm-5', input: 30, output: 4, cached: 16 },
  ],
  [
    'LiteLLM: Anthropic’s cache in OpenAI’s form',
    [
      chat({
        prompt_tokens: 9000,
        completion_tokens: 40,
        total_tokens: 9040,
        prompt_tokens_details: { cached_tokens: 8000, cache_creation_tokens: 900, cache_creation_token_details: { ephemeral_1h_input_tokens: 300 } },
        cache_creation_input_tokens: 900,
        cache_read_input_tokens: 8000,
      }),
    ],
    { input: 9000, output: 40, cached: 8000, parts: { cacheWritten5m: 600, cacheWritten1h: 300 } },
  ],
  ['names of the AI SDK', [chat({ inputTokens: 30, outputTokens: 9, totalTokens: 39, reasoningTokens: 4, cachedInputTokens: 20 })], { input: 30, output: 9, cached: 20, reasoning: 4 }],
  ['older names of the AI SDK', [chat({ promptTokens: 30, completionTokens: 9 })], { input: 30, output: 9 }],
  ['Voyage and Jina: the total alone is what was read', [{ data: [], model: 'voyage-3', usage: { total_tokens: 26 } }], { model: 'voyage-3', input: 26, output: 0 }],
  ['Jina: reranking', [{ results: [{ index: 0 }], usage: { total_tokens: 815, prompt_tokens: 815 } }], { input: 815, output: 0 }],
]) // biome-ignore format: a table

tell('OpenAI Responses', [
  [
    'a whole answer',
    [
      {
        id: 'resp_67',
        object: 'response',
        error: null,
        model: 'gpt-5',
        usage: {
          input_tokens: 328,
          input_tokens_details: {
            cached_tokens: 300,
            cache_write_tokens: 20,
            cache_write_tokens_details: { ttl_30m_tokens: 5, ttl_12h_tokens: 15 },
          },
          output_tokens: 52,
          output_tokens_details: { reasoning_tokens: 40 },
          total_tokens: 380,
        },
      },
    ],
    {
      model: 'gpt-5',
      input: 328,
      output: 52,
      cached: 300,
      reasoning: 40,
      parts: { cacheWritten5m: 5, cacheWritten1h: 15 },
    },
  ],
  [
    'a stream that ended early',
    [
      { type: 'response.created', response: { id: 'r', model: 'gpt-5', usage: null } },
      { type: 'response.incomplete', response: { id: 'r', usage: { input_tokens: 3, output_tokens: 16 } } },
    ],
    { model: 'gpt-5', input: 3, output: 16 },
  ],
  [
    'what tools for images have used, beside the rest',
    [
      {
        id: 'r',
        usage: { input_tokens: 1820, output_tokens: 210, total_tokens: 2030 },
        tool_usage: {
          image_gen: { input_tokens: 12, output_tokens: 7024, output_tokens_details: { image_tokens: 7024 } },
          web_search: { num_requests: 2 },
        },
      },
    ],
    { input: 1832, output: 7234, parts: { imageOutput: 7024 } },
  ],
  [
    'the same in a stream, and twice',
    [1, 2].map(() => ({
      type: 'response.completed',
      response: {
        id: 'r',
        usage: { input_tokens: 20, output_tokens: 10 },
        tool_usage: { image_gen: { input_tokens: 1, output_tokens: 7 } },
      },
    })),
    { input: 21, output: 17 },
  ],
  ['a background response that is not done', [{ id: 'r', status: 'queued', background: true, usage: null, model: 'o4' }], { model: 'o4' }],
]) // biome-ignore format: a table

const done = (id: string | undefined, input: number, output: number) => ({
  type: 'response.done',
  response: {
    ...(id && { id }),
    usage: {
      input_tokens: input,
      output_tokens: output,
      total_tokens: input + output,
      input_token_details: { text_tokens: 1, audio_tokens: 9, cached_tokens: 6, cached_tokens_details: { audio_tokens: 5 } },
      output_token_details: { text_tokens: 1, audio_tokens: 4 },
    },
  },
}) // biome-ignore format: one row

tell('a realtime session', [
  [
    'adds up its responses, each once by its id',
    [done('a', 10, 5), done('b', 20, 5), done('a', 10, 5)],
    { input: 30, output: 10, cached: 12, parts: { audioInput: 8, audioOutput: 8 } },
  ],
  [
    'adds up responses without ids',
    [done(undefined, 10, 5), done(undefined, 10, 5)],
    { input: 20, output: 10, cached: 12, parts: { audioInput: 8, audioOutput: 8 } },
  ],
  [
    'adds transcriptions, each once by its item',
    [0, 0, 1].map((item) => ({
      type: 'conversation.item.input_audio_transcription.completed',
      item_id: `i${item}`,
      content_index: 0,
      usage: { type: 'tokens', input_tokens: 20, output_tokens: 3, total_tokens: 23, input_token_details: { audio_tokens: 18 } },
    })),
    { input: 40, output: 6, parts: { audioInput: 36 } },
  ],
  [
    'adds transcriptions by the second to what it knows of tokens',
    [
      done('a', 10, 5),
      { type: 'conversation.item.input_audio_transcription.completed', item_id: 'i', content_index: 0, usage: { type: 'duration', seconds: 7.2 } },
    ],
    { input: 10, output: 5, cached: 6, parts: { audioInput: 4, audioOutput: 4, seconds: 8 } },
  ],
]) // biome-ignore format: a table

tell('images and sound', [
  [
    'images in tokens',
    [{ created: 1, data: [{ b64_json: 'iVBOR' }, { b64_json: 'iVBOR' }], usage: { input_tokens: 50, output_tokens: 8320, total_tokens: 8370, input_tokens_details: { text_tokens: 10, image_tokens: 40 } } }],
    { input: 50, output: 8320, parts: { imageInput: 40, imageOutput: 8320, images: 2 } },
  ],
  [
    'an image in a stream',
    [{ type: 'image_generation.completed', b64_json: 'iVBOR', usage: { input_tokens: 50, output_tokens: 6240, total_tokens: 6290 } }],
    { input: 50, output: 6240, parts: { imageOutput: 6240, images: 1 } },
  ],
  [
    'what was written of an image in SVG',
    [{ data: [{ b64_json: 'x' }], usage: { input_tokens: 5, output_tokens: 60, total_tokens: 65, output_tokens_details: { image_tokens: 60 } }, svg_usage: { model: 'm', input_tokens: 7, output_tokens: 9, reasoning_tokens: 4, total_tokens: 16 } }],
    { input: 12, output: 69, reasoning: 4, parts: { imageOutput: 60, images: 1 } },
  ],
  [
    'a transcription in tokens',
    [{ text: 'Hi', usage: { type: 'tokens', input_tokens: 14, input_token_details: { text_tokens: 0, audio_tokens: 14 }, output_tokens: 45, total_tokens: 59 } }],
    { input: 14, output: 45, parts: { audioInput: 14 } },
  ],
  ['a transcription by the second', [{ text: 'Hi', usage: { type: 'duration', seconds: 12 } }], { input: 0, output: 0, parts: { seconds: 12 } }],
  ['a transcription of whisper', [{ task: 'transcribe', language: 'en', duration: '8.47', text: 'Hi', segments: [] }], { input: 0, output: 0, parts: { seconds: 9 } }],
  ['a duration of something else', [{ duration: 8.47 }], {}],
]) // biome-ignore format: a table

// Only the first values of an answer are read without a sign.
tellWhole('images and sound in one document', [
  ['images by the piece', [{ created: 1, data: [{ url: 'https://x' }] }], { parts: { images: 1 } }],
]) // biome-ignore format: a table

test('every value that reports has a sign', () => {
  const looks = (value: unknown) => SIGNS.some((sign) => JSON.stringify(value).includes(`"${sign}"`))
  for (const value of [running(1), done('a', 1, 1), { eval_count: 1 }, { error: {} }, { usageMetadata: {} }])
    expect(looks(value)).toBe(true)
  expect(looks({ id: 'c', model: 'm', choices: [{ delta: { content: 'x' } }] })).toBe(false)
}) // biome-ignore format: one row
