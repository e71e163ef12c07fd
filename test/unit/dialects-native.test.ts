/** What APIs with reports of their own say, in bodies as they really look. */
import { tell } from '../support/reports.ts'

const start = (usage: object) => ({ type: 'message_start', message: { model: 'claude', usage } })
const delta = (usage: object) => ({ type: 'message_delta', delta: {}, usage })
const message = (usage: object) => ({ type: 'message', model: 'claude', content: [], usage })

tell('Anthropic', [
  [
    'a whole message, whose input leaves out the cache',
    [message({ input_tokens: 10, cache_creation_input_tokens: 600_000, cache_creation: { ephemeral_5m_input_tokens: 200_000, ephemeral_1h_input_tokens: 400_000 }, cache_read_input_tokens: 7, output_tokens: 5, output_tokens_details: { thinking_tokens: 3 } })],
    { model: 'claude', input: 600_017, output: 5, cached: 7, reasoning: 3, parts: { cacheWritten5m: 200_000, cacheWritten1h: 400_000 } },
  ],
  [
    'a message whose cache is smaller than its input',
    [message({ input_tokens: 3000, cache_read_input_tokens: 2000, output_tokens: 5 })],
    { model: 'claude', input: 5000, output: 5, cached: 2000 },
  ],
  [
    'a stream',
    [start({ input_tokens: 25, cache_read_input_tokens: 100, output_tokens: 1 }), delta({ output_tokens: 10 }), delta({ output_tokens: 15 })],
    { model: 'claude', input: 125, output: 15, cached: 100 },
  ],
  ['a stream that was cut off, whose output is not known', [start({ input_tokens: 25, output_tokens: 1 })], { model: 'claude', input: 25 }],
  [
    'a delta that repeats the input without the cache',
    [start({ input_tokens: 317, cache_creation_input_tokens: 4425, cache_read_input_tokens: 0, output_tokens: 1 }), delta({ input_tokens: 317, output_tokens: 20 })],
    { model: 'claude', input: 4742, output: 20, cached: 0, parts: { cacheWritten5m: 4425 } },
  ],
  [
    'a delta whose zeros and nulls take nothing back',
    [start({ input_tokens: 9, cache_creation_input_tokens: 40, cache_read_input_tokens: 7000, output_tokens: 1 }), delta({ input_tokens: 0, cache_creation_input_tokens: 0, cache_read_input_tokens: null, output_tokens: 12 })],
    { model: 'claude', input: 7049, output: 12, cached: 7000, parts: { cacheWritten5m: 40 } },
  ],
  [
    'a delta that says what searching the web has added',
    [start({ input_tokens: 2679, cache_read_input_tokens: 50, output_tokens: 3 }), delta({ input_tokens: 10_682, output_tokens: 510 })],
    { model: 'claude', input: 10_732, output: 510, cached: 50 },
  ],
  [
    'a delta that knows the cache of which the start knew the sum alone',
    [start({ input_tokens: 90_100, output_tokens: 0 }), delta({ input_tokens: 12, cache_creation_input_tokens: 0, cache_read_input_tokens: 90_000, output_tokens: 7 })],
    { model: 'claude', input: 90_100, output: 7, cached: 90_000 },
  ],
  [
    'a delta that repeats the whole sum',
    [start({ input_tokens: 100, cache_read_input_tokens: 5000, output_tokens: 1 }), delta({ input_tokens: 5100, output_tokens: 7 })],
    { model: 'claude', input: 5100, output: 7, cached: 5000 },
  ],
  [
    'a split of the cache that comes later',
    [start({ input_tokens: 1, cache_creation_input_tokens: 50, output_tokens: 1 }), delta({ cache_creation: { ephemeral_5m_input_tokens: 20, ephemeral_1h_input_tokens: 30 }, output_tokens: 7 })],
    { model: 'claude', input: 51, output: 7, parts: { cacheWritten5m: 20, cacheWritten1h: 30 } },
  ],
  ['a stream without any input', [start({ output_tokens: 1 }), delta({ output_tokens: 44 })], { model: 'claude', output: 44 }],
  [
    'compaction, which the top leaves out',
    [message({ input_tokens: 23_000, output_tokens: 1000, iterations: [{ type: 'compaction', input_tokens: 180_000, output_tokens: 3500 }, { type: 'message', input_tokens: 23_000, output_tokens: 1000 }] })],
    { model: 'claude', input: 203_000, output: 4500 },
  ],
  [
    'an advisor with its cache, in a stream',
    [start({ input_tokens: 10, cache_read_input_tokens: 5, output_tokens: 1 }), delta({ input_tokens: 10, cache_read_input_tokens: 5, output_tokens: 7, iterations: [{ type: 'message', input_tokens: 10, cache_read_input_tokens: 5, output_tokens: 7 }, { type: 'advisor_message', input_tokens: 100, cache_read_input_tokens: 400, output_tokens: 9 }] })],
    { model: 'claude', input: 515, output: 16, cached: 405 },
  ],
  [
    'iterations that the top contains',
    [message({ input_tokens: 30, output_tokens: 3, iterations: [{ type: 'message', input_tokens: 10, output_tokens: 1 }, { type: 'message', input_tokens: 20, output_tokens: 2 }] })],
    { model: 'claude', input: 30, output: 3 },
  ],
  ['count_tokens, which is no work', [{ input_tokens: 2095 }], {}],
  [
    'results of a batch, each once',
    ['a', 'b', 'a'].map((id) => ({ custom_id: id, result: { type: 'succeeded', message: message({ input_tokens: 10, cache_read_input_tokens: 5, output_tokens: 2 }) } })),
    { model: 'claude', input: 30, output: 4, cached: 10 },
  ],
]) // biome-ignore format: a table

tell('results of a batch of OpenAI', [
  [
    'are added up, each once',
    ['a', 'b', 'a'].map((id) => ({ id: 'x', custom_id: id, response: { status_code: 200, body: { model: 'm', usage: { prompt_tokens: 10, completion_tokens: 2 } } }, error: null })),
    { model: 'm', input: 20, output: 4 },
  ],
]) // biome-ignore format: a table

const gemini = (usageMetadata: object, finishReason?: string) => ({
  candidates: [{ content: { parts: [{ text: 'Hi' }] }, ...(finishReason && { finishReason }) }],
  usageMetadata,
  modelVersion: 'gemini-2.5-pro',
})
const known = { model: 'gemini-2.5-pro' }

tell('Gemini', [
  [
    'a stream, whose output leaves out what was thought',
    [gemini({ promptTokenCount: 220, totalTokenCount: 220 }), gemini({ promptTokenCount: 220, cachedContentTokenCount: 100, candidatesTokenCount: 5, thoughtsTokenCount: 185, totalTokenCount: 410 }, 'STOP')],
    { ...known, input: 220, output: 190, cached: 100, reasoning: 185 },
  ],
  ['a stream that was cut off, whose output is not known', [gemini({ promptTokenCount: 220, totalTokenCount: 220 })], { ...known, input: 220 }],
  ['an answer without a word', [gemini({ promptTokenCount: 220, totalTokenCount: 220 }, 'STOP')], { ...known, input: 220, output: 0 }],
  ['a prompt that was blocked', [{ promptFeedback: { blockReason: 'SAFETY' }, usageMetadata: { promptTokenCount: 8, totalTokenCount: 8 } }], { input: 8, output: 0 }],
  ['thought that is not named', [gemini({ promptTokenCount: 8, candidatesTokenCount: 10, totalTokenCount: 818 })], { ...known, input: 8, output: 810 }],
  ['thought that the candidates contain', [gemini({ promptTokenCount: 8, candidatesTokenCount: 100, thoughtsTokenCount: 60, totalTokenCount: 108 })], { ...known, input: 8, output: 100, reasoning: 60 }],
  ['thought without a total', [gemini({ promptTokenCount: 8, candidatesTokenCount: 100, thoughtsTokenCount: 60 })], { ...known, input: 8, output: 160, reasoning: 60 }],
  ['a prompt of tools, beside the prompt', [gemini({ promptTokenCount: 20, toolUsePromptTokenCount: 500, candidatesTokenCount: 5, totalTokenCount: 525 })], { ...known, input: 520, output: 5 }],
  ['a prompt of tools that the prompt contains', [gemini({ promptTokenCount: 520, toolUsePromptTokenCount: 500, candidatesTokenCount: 5, totalTokenCount: 525 })], { ...known, input: 520, output: 5 }],
  [
    'sound and images',
    [
      gemini({
        promptTokenCount: 300,
        candidatesTokenCount: 1290,
        cachedContentTokenCount: 50,
        totalTokenCount: 1590,
        promptTokensDetails: [{ modality: 'TEXT', tokenCount: 10 }, { modality: 'AUDIO', tokenCount: 90 }, { modality: 'IMAGE', tokenCount: 200 }],
        cacheTokensDetails: [{ modality: 'AUDIO', tokenCount: 50 }],
        candidatesTokensDetails: [{ modality: 'IMAGE', tokenCount: 1290 }],
      }),
    ],
    { ...known, input: 300, output: 1290, cached: 50, parts: { audioInput: 40, imageInput: 200, imageOutput: 1290 } },
  ],
  ['names as Python writes them', [{ usage_metadata: { prompt_token_count: 8, candidates_token_count: 10, thoughts_token_count: 5, total_token_count: 23 } }], { input: 8, output: 15, reasoning: 5 }],
  ['countTokens, which is no work', [{ totalTokens: 31, promptTokensDetails: [{ modality: 'TEXT', tokenCount: 31 }] }], {}],
  ['its OpenAI form', [{ model: 'gemini-2.5-pro', choices: [], usage: { prompt_tokens: 7, completion_tokens: 11, total_tokens: 118 } }], { ...known, input: 7, output: 111 }],
  ['Code Assist, which wraps the answer', [{ response: gemini({ promptTokenCount: 8, candidatesTokenCount: 10, totalTokenCount: 18 }) }], { ...known, input: 8, output: 10 }],
  ['an interaction', [{ model: 'gemini-3', usage: { total_input_tokens: 8, total_cached_tokens: 2, total_output_tokens: 10, total_thought_tokens: 5, total_tool_use_tokens: 3, total_tokens: 26 } }], { model: 'gemini-3', input: 11, output: 15, cached: 2, reasoning: 5 }],
  ['an interaction in a stream', [{ event_type: 'interaction.completed', interaction: { status: 'completed', usage: { total_input_tokens: 8, total_output_tokens: 10, total_tokens: 18 } } }], { input: 8, output: 10 }],
  ['embeddings of Vertex AI', [{ predictions: [6, 4].map((n) => ({ embeddings: { values: [0.1], statistics: { truncated: false, token_count: n } } })) }], { input: 10, output: 0 }],
]) // biome-ignore format: a table

const tokens = (input_tokens: number, output_tokens: number) => ({ input_tokens, output_tokens })

tell('Cohere', [
  ['bills less than it counts', [{ message: { content: [] }, usage: { billed_units: tokens(5, 418), tokens: tokens(71, 418), cached_tokens: 3 } }], { input: 5, output: 418, cached: 3 }],
  ['a stream of v2', [{ type: 'message-end', delta: { finish_reason: 'COMPLETE', usage: { billed_units: tokens(5, 418), tokens: tokens(71, 418) } } }], { input: 5, output: 418 }],
  ['v1', [{ text: 'x', meta: { api_version: { version: '1' }, billed_units: tokens(5, 9), tokens: tokens(71, 9) } }], { input: 5, output: 9 }],
  ['a stream of v1', [{ event_type: 'stream-end', response: { meta: { billed_units: tokens(5, 9) } } }], { input: 5, output: 9 }],
  ['embeddings', [{ embeddings: { float: [[0.1]] }, meta: { billed_units: { input_tokens: 2 } } }], { input: 2, output: 0 }],
  ['embeddings of images', [{ embeddings: {}, meta: { billed_units: { images: 1, image_tokens: 900 } } }], { input: 900, output: 0, parts: { imageInput: 900 } }],
  ['reranking by searches, which are no tokens', [{ results: [], meta: { billed_units: { search_units: 1 } } }], { input: 0, output: 0 }],
  ['reranking of SiliconFlow, which bills zeros and counts tokens', [{ results: [], meta: { billed_units: { ...tokens(0, 0), search_units: 0 }, tokens: tokens(28, 0) } }], { input: 28, output: 0 }],
  ['tokens alone', [{ usage: { tokens: tokens(28, 4) } }], { input: 28, output: 4 }],
]) // biome-ignore format: a table

tell('Ollama', [
  ['a stream', [{ model: 'llama3.2', message: { content: 'Hi' }, done: false }, { model: 'llama3.2', done: true, prompt_eval_count: 26, eval_count: 298 }], { model: 'llama3.2', input: 26, output: 298 }],
  ['embeddings, which write nothing', [{ embeddings: [[0.01]], prompt_eval_count: 8 }], { input: 8, output: 0 }],
  ['a prompt that was cached', [{ done: true, eval_count: 298 }], { output: 298 }],
]) // biome-ignore format: a table

tell('Bedrock', [
  ['Converse, whose input leaves out the cache', [{ output: {}, usage: { inputTokens: 30, outputTokens: 628, totalTokens: 1658, cacheReadInputTokens: 900, cacheWriteInputTokens: 100, cacheDetails: [{ inputTokens: 40, ttl: '1h' }, { inputTokens: 60, ttl: '5m' }] } }], { input: 1030, output: 628, cached: 900, parts: { cacheWritten5m: 60, cacheWritten1h: 40 } }],
  ['a stream of Converse', [{ contentBlockDelta: {} }, { metadata: { usage: { inputTokens: 21, outputTokens: 4, totalTokens: 25 } } }], { input: 21, output: 4 }],
  ['the last event of a stream of InvokeModel', [start({ input_tokens: 8, output_tokens: 1 }), delta({ output_tokens: 12 }), { type: 'message_stop', 'amazon-bedrock-invocationMetrics': { inputTokenCount: 8, outputTokenCount: 12, invocationLatency: 9 } }], { model: 'claude', input: 8, output: 12 }],
  ['embeddings of Titan', [{ embedding: [0.1], inputTextTokenCount: 5 }], { input: 5, output: 0 }],
  ['texts of Titan', [{ inputTextTokenCount: 5, results: [{ tokenCount: 9, outputText: 'x' }] }], { input: 5, output: 9 }],
  ['Llama', [{ generation: 'x', prompt_token_count: 5, generation_token_count: 9 }], { input: 5, output: 9 }],
]) // biome-ignore format: a table

tell('DashScope', [
  ['Qwen, whose input contains the images', [{ output: {}, usage: { input_tokens: 1271, output_tokens: 55, total_tokens: 1326, image_tokens: 1247, prompt_tokens_details: { cached_tokens: 20 } }, request_id: 'x' }], { input: 1271, output: 55, cached: 20, parts: { imageInput: 1247 } }],
  ['running usage of a stream', [3, 9].map((n) => ({ output: {}, usage: { input_tokens: 20, output_tokens: n, total_tokens: 20 + n } })), { input: 20, output: 9 }],
  ['embeddings, whose input leaves out the images', [{ output: {}, usage: { input_tokens: 10, image_tokens: 896 } }], { input: 906, output: 0, parts: { imageInput: 896 } }],
  ['images by the piece', [{ output: {}, usage: { image_count: 2 } }], { input: 0, output: 0, parts: { images: 2 } }],
  ['sound by the second', [{ output: {}, usage: { seconds: 4 } }], { input: 0, output: 0, parts: { seconds: 4 } }],
]) // biome-ignore format: a table

tell('servers of one’s own', [
  ['llama.cpp', [{ content: 'x', tokens_predicted: 64, tokens_evaluated: 12, stop: true }], { input: 12, output: 64 }],
  ['timings of llama.cpp, whose prompt leaves out the cache', [{ choices: [], timings: { prompt_n: 3, cache_n: 40, predicted_n: 9, prompt_ms: 1.5 } }], { input: 43, output: 9, cached: 40 }],
  ['timings beside usage', [{ choices: [], usage: { prompt_tokens: 43, completion_tokens: 9, total_tokens: 52 }, timings: { prompt_n: 3, cache_n: 40, predicted_n: 9 } }], { input: 43, output: 9, cached: 40 }],
  ['text-generation-inference', [{ generated_text: 'x', details: { finish_reason: 'length', generated_tokens: 20, input_length: 7 } }], { input: 7, output: 20 }],
]) // biome-ignore format: a table
