/** What clients of DeepSeek need of it, in the form in which it answers (api-docs.deepseek.com), with `/v1` in paths or without. */
import { type ApiServer, type Asked, eventStream, type Route, startApi } from '../api-server.ts'

export const DEEPSEEK_CREDENTIAL = 'sk-deepseek-operator-0a1b2c3d4e5f'

const MODELS = ['deepseek-chat', 'deepseek-reasoner']

const USAGE = {
  prompt_tokens: 120,
  completion_tokens: 30,
  total_tokens: 150,
  prompt_tokens_details: { cached_tokens: 64 },
  prompt_cache_hit_tokens: 64,
  prompt_cache_miss_tokens: 56,
}

export function startDeepSeek(): ApiServer {
  const routes: Record<string, Route> = {}
  for (const base of ['', '/v1']) {
    routes[`POST ${base}/chat/completions`] = chat
    routes[`GET ${base}/models`] = () =>
      Response.json({ object: 'list', data: MODELS.map((id) => ({ id, object: 'model' })) })
  }
  return startApi({
    routes,
    isOperator: (headers) => headers.get('authorization') === `Bearer ${DEEPSEEK_CREDENTIAL}`,
    error: (_, message) => ({
      error: { message, type: 'authentication_error', param: null, code: 'invalid_request_error' },
    }),
  })
}

function chat({ json }: Asked): Response {
  const base = { id: 'c-1', created: 1_780_000_000, model: json['model'] }
  const message = { role: 'assistant', content: 'Hello! 你好！' }
  if (json['stream'] !== true) {
    const choices = [{ index: 0, message, logprobs: null, finish_reason: 'stop' }]
    return Response.json({ ...base, object: 'chat.completion', choices, usage: USAGE })
  }
  const chunk = (delta: object, finish_reason: string | null, usage: object | null) => {
    const choices = [{ index: 0, delta, logprobs: null, finish_reason }]
    const event = { ...base, object: 'chat.completion.chunk', choices, usage }
    return `data: ${JSON.stringify(event)}\n\n`
  }
  return eventStream([
    chunk(message, null, null),
    chunk({ content: '' }, 'stop', USAGE),
    'data: [DONE]\n\n',
  ])
}
