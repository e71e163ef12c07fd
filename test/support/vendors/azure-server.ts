/**
 * What clients of OpenAI's models at Azure need of it: the paths with a deployment and a version of the API, and those of
 * OpenAI under `/openai/v1` (learn.microsoft.com/azure/ai-services/openai/reference). Its credential stands in `api-key`.
 */
import { type ApiServer, type Asked, startApi } from '../api-server.ts'

export const AZURE_CREDENTIAL = 'azure-operator-0a1b2c3d4e5f6g7h8i'
export const DEPLOYMENT = 'gpt-4o-mini'

export function startAzure(): ApiServer {
  return startApi({
    routes: {
      'POST /openai/v1/chat/completions': chat,
      [`POST /openai/deployments/${DEPLOYMENT}/chat/completions`]: chat,
    },
    isOperator: (headers) => headers.get('api-key') === AZURE_CREDENTIAL,
    error: (status, message) => ({ error: { code: String(status), message } }),
  })
}

/** As Azure does: the model that answers is a version of what was deployed, and its filters have their say. */
function chat(_: Asked): Response {
  const message = { role: 'assistant', content: 'Hello!', refusal: null }
  const hate = { filtered: false, severity: 'safe' }
  return Response.json({
    id: 'chatcmpl-1',
    object: 'chat.completion',
    created: 1_780_000_000,
    model: `${DEPLOYMENT}-2024-07-18`,
    choices: [{ index: 0, message, finish_reason: 'stop', content_filter_results: { hate } }],
    prompt_filter_results: [{ prompt_index: 0, content_filter_results: { hate } }],
    usage: { prompt_tokens: 90, completion_tokens: 10, total_tokens: 100 },
  })
}
