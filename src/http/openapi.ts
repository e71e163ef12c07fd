/**
 * The OpenAPI document: what @elysiajs/swagger reads off the routes, with what it cannot know added: the errors of every
 * operation, security, content types and prose.
 */
import { swagger } from '@elysiajs/swagger'
import { type AnyElysia, Elysia } from 'elysia'
import { ERRORS, type ErrorCode } from '../errors.ts'
import { VERSION } from '../lib/version.ts'
import { EnvelopeSchema } from '../proxy/index.ts'

type Operation = {
  tags?: string[]
  operationId?: string
  security?: unknown
  requestBody?: { content: Record<string, unknown>; required?: boolean }
  responses: Record<
    string,
    { description?: string; content?: Record<string, unknown>; headers?: unknown }
  >
  [field: string]: unknown
}
type Document = {
  paths: Record<string, Record<string, Operation>>
  components?: Record<string, unknown>
  [field: string]: unknown
}

const ADMIN_ERRORS: ErrorCode[] = [
  'missing_admin_token',
  'invalid_admin_token',
  'too_many_attempts',
  'storage_unavailable',
  'internal',
]
const BODY_ERRORS: ErrorCode[] = [
  'invalid_json',
  'request_too_large',
  'unsupported_media_type',
  'validation_failed',
]
const ERRORS_OF: Record<string, ErrorCode[]> = {
  createKey: [...BODY_ERRORS, 'key_already_exists'],
  listKeys: ['validation_failed'],
  getKey: ['key_not_found'],
  updateKey: [...BODY_ERRORS, 'key_not_found'],
  deleteKey: ['key_not_found'],
  resetKey: [...BODY_ERRORS, 'key_not_found'],
  getUsage: ['validation_failed', 'key_not_found'],
  getHealth: [],
  getReadiness: [],
  proxyCall: [
    'missing_api_key', 'ambiguous_api_key', 'invalid_api_key', 'api_key_disabled', 'api_key_expired',
    'target_not_allowed', 'request_timeout', 'request_too_large', 'invalid_request', 'rate_limit_exceeded',
    'insufficient_quota', 'cost_exceeds_quota', 'quota_reserved', 'concurrency_limit_exceeded', 'upstream_error',
    'upstream_timeout', 'storage_unavailable', 'shutting_down', 'internal',
  ],
} // biome-ignore format: one operation, one list

/** Reads the routes of `app` once, when first asked. */
export function createDocument(app: AnyElysia): () => Promise<unknown> {
  let document: Promise<unknown> | undefined
  return () => {
    document ??= read(app).then(complete)
    return document
  }
}

async function read(app: AnyElysia): Promise<Document> {
  const reader = new Elysia().use(app).use(
    swagger({
      path: '/document',
      provider: 'swagger-ui',
      exclude: [/^\/document/, '/swagger', /^\/swagger\//],
    }),
  )
  const response = await reader.handle(new Request('http://localhost/document/json'))
  return response.json() as Promise<Document>
}

function complete(document: Document): Document {
  for (const operations of Object.values(document.paths)) {
    for (const operation of Object.values(operations)) completeOperation(operation)
  }
  return {
    ...document,
    openapi: '3.0.3',
    info: {
      title: 'quota-proxy',
      version: VERSION,
      description:
        'Hand out API keys with hard quotas in front of any HTTP API.\n\nOperators use `/admin` with the admin token: press **Authorize** and paste it. Key holders use `/proxy` with their key.',
      license: { name: 'MIT', url: 'https://opensource.org/license/mit' },
    },
    servers: [{ url: '/', description: 'This server' }],
    tags: [
      { name: 'Proxy', description: 'For key holders: metered calls.' },
      { name: 'Keys', description: 'For the operator: issue, change and revoke keys.' },
      { name: 'Usage', description: 'For the operator: what has been used.' },
      { name: 'Health', description: 'Probes.' },
    ],
    components: {
      ...document.components,
      schemas: SCHEMAS,
      securitySchemes: {
        adminToken: {
          type: 'http',
          scheme: 'bearer',
          description:
            'The admin token (ADMIN_TOKEN, or the file admin-token in the data directory).',
        },
        apiKey: {
          type: 'apiKey',
          in: 'header',
          name: 'X-API-Key',
          description: 'A key that the operator has issued.',
        },
        bearerKey: {
          type: 'http',
          scheme: 'bearer',
          description: 'The same key, where OpenAI-compatible clients put it.',
        },
      },
    },
  }
}

function completeOperation(operation: Operation): void {
  const id = operation.operationId ?? ''
  const errors = ERRORS_OF[id]
  if (!errors) throw new Error(`http/openapi.ts does not know the errors of ${id}`)
  const isProxy = id === 'proxyCall'
  const isHealth = operation.tags?.includes('Health') ?? false

  if (operation.requestBody) onlyJson(operation.requestBody)
  for (const [status, response] of Object.entries(operation.responses)) {
    onlyJson(response)
    response.description ??= status === '201' ? 'Created.' : 'Done.'
  }
  if (isProxy) {
    operation.security = [{ apiKey: [] }, { bearerKey: [] }]
    operation.requestBody = {
      required: true,
      content: { 'application/json': { schema: EnvelopeSchema } },
    }
    operation.responses = {
      '200': {
        description: "The upstream's own answer, with its own status.",
        headers: QUOTA_HEADERS,
        content: { '*/*': { schema: {} } },
      },
    }
  } else if (!isHealth) {
    operation.security = [{ adminToken: [] }]
  }
  const all = isProxy || isHealth ? errors : [...ADMIN_ERRORS, ...errors]
  for (const [status, codes] of Object.entries(
    Object.groupBy(all, (code) => String(ERRORS[code].status)),
  )) {
    operation.responses[status] = errorResponse(codes ?? [], isProxy)
  }
}

function onlyJson(message: { content?: Record<string, unknown> }): void {
  const json = message.content?.['application/json']
  if (json) message.content = { 'application/json': json }
}

function errorResponse(codes: readonly ErrorCode[], isProxy: boolean) {
  const examples = Object.fromEntries(
    codes.map((code) => [
      code,
      { summary: ERRORS[code].title, value: isProxy ? holderExample(code) : operatorExample(code) },
    ]),
  )
  const schema = { $ref: `#/components/schemas/${isProxy ? 'Refusal' : 'Problem'}` }
  return {
    description: codes.map((code) => `\`${code}\`: ${ERRORS[code].title}.`).join(' '),
    content: { [isProxy ? 'application/json' : 'application/problem+json']: { schema, examples } },
  }
}

function holderExample(code: ErrorCode) {
  const { title, type } = ERRORS[code]
  return {
    error: { message: `${title}.`, type, code, param: null, request_id: 'req_3q2-7wEAAAAB' },
  }
}

function operatorExample(code: ErrorCode) {
  const { title, status } = ERRORS[code]
  return {
    type: `urn:quota-proxy:error:${code}`,
    title,
    status,
    detail: `${title}.`,
    code,
    request_id: 'req_3q2-7wEAAAAB',
  }
}

const text = { type: 'string' }
const fieldErrors = {
  type: 'array',
  items: {
    type: 'object',
    required: ['path', 'message'],
    properties: { path: text, message: text },
  },
}

const SCHEMAS = {
  Problem: {
    type: 'object',
    description: 'RFC 9457. Switch on `code`.',
    required: ['type', 'title', 'status', 'detail', 'code', 'request_id'],
    properties: {
      type: text,
      title: text,
      status: { type: 'integer' },
      detail: text,
      code: text,
      request_id: text,
      errors: fieldErrors,
    },
  },
  Refusal: {
    type: 'object',
    description: 'The body that OpenAI-compatible clients parse. Switch on `error.code`.',
    required: ['error'],
    properties: {
      error: {
        type: 'object',
        required: ['message', 'type', 'code', 'param', 'request_id'],
        properties: {
          message: text,
          type: text,
          code: text,
          param: { ...text, nullable: true },
          limit: { type: 'integer' },
          remaining: { type: 'integer' },
          resets_at: { ...text, format: 'date-time' },
          request_id: text,
          errors: fieldErrors,
        },
      },
    },
  },
}

const header = (description: string, example: string) => ({ description, schema: text, example })
const QUOTA_HEADERS = {
  'RateLimit-Policy': header('The limits of the key (IETF draft).', '"quota";q=1000'),
  RateLimit: header('What is left of each (IETF draft).', '"quota";r=742'),
  'X-Quota-Limit': header('Amount of the main limit.', '1000'),
  'X-Quota-Remaining': header('What is left of it.', '742'),
  'X-Quota-Cost': header('What this call was charged.', '1'),
  'X-Quota-Charge-Id': header('Number of the ledger entry.', 'call_258'),
  'X-Request-Id': header('Names this request in answers and logs.', 'req_3q2-7wEAAAAB'),
}
