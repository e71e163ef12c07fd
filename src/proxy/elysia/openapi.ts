/**
 * The calls of key holders as the API document tells them. The data path checks its own input and relays answers that no
 * schema knows, so nothing here is ever validated against.
 */
import { t } from 'elysia'
import { refuses } from '../../http/openapi/errors.ts'

const scalar = ['string', 'number', 'boolean']

const envelope = {
  type: 'object',
  title: 'Envelope',
  required: ['endpoint'],
  additionalProperties: false,
  properties: {
    endpoint: {
      type: 'string',
      description: 'The http or https URL to call.',
      examples: ['https://api.example.com/v1/chat'],
    },
    method: {
      type: ['string', 'null'],
      enum: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', null],
      description: 'POST with a body and GET without one, unless given.',
    },
    headers: {
      type: ['object', 'null'],
      additionalProperties: { type: 'string' },
      description: 'Sent to the endpoint, except what belongs to the connection or holds the key.',
    },
    query: {
      type: ['object', 'null'],
      additionalProperties: { type: [...scalar, 'array'], items: { type: scalar } },
      description: 'Added to the query of the endpoint; an array repeats its parameter.',
    },
    body: { description: 'Text goes as it is, anything else as the JSON written here.' },
    timeout_ms: {
      type: ['integer', 'null'],
      minimum: 1,
      maximum: 3_600_000,
      description: 'For the whole call; never longer than PROXY_TIMEOUT_MS.',
    },
  },
  examples: [
    {
      endpoint: 'https://api.example.com/v1/chat',
      method: 'POST',
      body: { message: 'Hello, quota-proxy!' },
    },
  ],
}

const header = (description: string, example: string) => ({
  description,
  schema: { type: 'string' as const },
  example,
})

const quotaHeaders = {
  'RateLimit-Policy': header('The limits of the key (IETF draft).', '"quota";q=1000;w=86400'),
  RateLimit: header('What is left of each, and for how many seconds.', '"quota";r=742;t=3600'),
  'X-Quota-Limit': header('Amount of the main limit; absent if it is unlimited.', '1000'),
  'X-Quota-Remaining': header('What is left of it.', '742'),
  'X-Quota-Reset': header('When it starts anew; absent for a lifetime.', '2026-12-31T00:00:00Z'),
  'X-Quota-Cost': header('What this call was charged.', '1'),
  'X-Quota-Charge-Id': header('The entry of this call in the ledger.', 'call_258'),
}

const CODES = [
  'missing_api_key', 'ambiguous_api_key', 'invalid_api_key', 'api_key_disabled', 'api_key_expired',
  'target_not_allowed', 'method_not_allowed_for_key', 'path_not_allowed', 'model_not_allowed', 'model_not_priced',
  'deferred_work_not_allowed', 'ip_not_allowed',
  'upstream_not_found', 'not_found', 'request_timeout', 'request_too_large', 'invalid_request', 'unsupported_media_type',
  'rate_limit_exceeded', 'insufficient_quota', 'cost_exceeds_quota', 'quota_reserved', 'concurrency_limit_exceeded',
  'upstream_error', 'upstream_timeout', 'upstream_unavailable', 'upstream_credential_rejected',
  'storage_unavailable', 'shutting_down', 'internal',
] as const // biome-ignore format: one question a line

const answers = {
  responses: {
    '200': {
      description: "The upstream's own answer. Whatever its status is, it is passed on.",
      headers: quotaHeaders,
      content: { '*/*': { schema: {}, example: { reply: 'Hello!' } } },
    },
  },
  ...refuses(...CODES),
}

export const envelopeOperation = {
  operationId: 'proxyCall',
  summary: 'Make a metered call',
  description:
    'Sends the call and answers with the real answer: its status, its end-to-end headers and its body, streamed. One request of the key is charged, and given back if there was no answer or a 5xx. An endpoint under the base URL of an upstream is a call of that upstream.',
  requestBody: { required: true, content: { 'application/json': { schema: envelope as object } } },
  ...answers,
}

const paramsWith = (path: string) =>
  t.Object({
    upstream: t.String({ description: 'Name of an upstream.', examples: ['openai'] }),
    path: t.String({
      description:
        'What follows its base URL, slashes and query included. Write slashes as they are: the form here sends them so.',
      examples: [path],
    }),
  })

const PASSED =
  'Any method, any query, any body: what is sent to `/u/{upstream}/…`, or to the mount of an upstream such as `/v1/…`, goes to its base URL as it is, with the credential of the operator in the place of the key. WebSockets pass where the upstream is open for them.'

export const passedGet = {
  params: paramsWith('models'),
  detail: {
    operationId: 'passGet',
    summary: 'Pass a request on to an upstream',
    description: PASSED,
    ...answers,
    ...refuses(...CODES, 'websockets_not_allowed'),
  },
}

const chat = {
  model: 'gpt-4o-mini',
  messages: [{ role: 'user', content: 'Hello!' }],
  max_tokens: 100,
}

export const passedPost = {
  params: paramsWith('chat/completions'),
  detail: {
    operationId: 'passPost',
    summary: 'Pass a request with a body on to an upstream',
    description: PASSED,
    requestBody: {
      required: false,
      description: 'Any body of any type. The example is what APIs like OpenAI’s take.',
      content: { 'application/json': { schema: {}, example: chat } },
    },
    ...answers,
  },
}
