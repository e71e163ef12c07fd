/**
 * Makes the OpenAPI document from what @elysiajs/swagger reads off the routes. It corrects that,
 * and adds refusals, security, headers and prose. A route must say what it refuses with; one that
 * does not is a fault, so that none is forgotten.
 */
import { type AnyElysia, Elysia } from 'elysia'
import type { ErrorCode } from '../../errors.ts'
import { VERSION } from '../../lib/process/version.ts'
import { isForHolders } from '../holder.ts'
import {
  ADMIN_CODES,
  BODY_CODES,
  ERROR_HEADERS,
  ERROR_SCHEMAS,
  errorResponses,
  HOLDER_CODES,
  REFUSES,
  TARGET_CODES,
} from './errors.ts'
import { plainSchema, type Schema } from './schema.ts'

type Media = { schema: Schema; example?: unknown }
type Message = {
  description?: string
  content?: Record<string, Media>
  headers?: object
  /** @elysiajs/swagger puts the keywords of the schema here. */
  [keyword: string]: unknown
}
type Parameter = { name: string; in: string; schema: Schema; examples?: unknown[] }
type Operation = {
  operationId: string
  security?: object[]
  parameters?: Parameter[]
  requestBody?: Message
  responses: Record<string, Message>
  [REFUSES]?: ErrorCode[]
}
type Paths = Record<string, Record<string, Operation>>

/** Returns a function that reads the routes of `app` when it is first called. */
export function createDocument(app: AnyElysia): () => Promise<object> {
  let document: Promise<object> | undefined
  return () => {
    document ??= readPaths(app).then(complete)
    return document
  }
}

async function readPaths(app: AnyElysia): Promise<Paths> {
  // Loaded here: with the libraries that it brings, it is a good part of what a start would load, and seldom asked for.
  const { swagger } = await import('@elysiajs/swagger')
  const reader = new Elysia()
    .use(app)
    .use(swagger({ path: '/document', provider: 'swagger-ui', exclude: /^\/document/ }))
  const response = await reader.handle(new Request('http://localhost/document/json'))
  const { paths } = (await response.json()) as { paths: Paths }
  return paths
}

function complete(paths: Paths): object {
  const named: Record<string, Schema> = {}
  return {
    openapi: '3.1.0',
    info: INFO,
    servers: [{ url: '/', description: 'This server' }],
    tags: TAGS,
    paths: mapValues(paths, (operations, path) =>
      mapValues(operations, (operation, method) =>
        completeOperation({ path, method }, operation, named),
      ),
    ),
    components: {
      schemas: { ...ERROR_SCHEMAS, ...named },
      headers: ERROR_HEADERS,
      securitySchemes: SECURITY_SCHEMES,
    },
  }
}

/**
 * Routes under /admin are for the operator, routes with `security: []` for everybody, the rest for
 * key holders.
 */
function completeOperation(
  { path, method }: { path: string; method: string },
  operation: Operation,
  named: Record<string, Schema>,
): object {
  const { [REFUSES]: refuses, parameters, requestBody, responses, ...rest } = operation
  const admin = path.startsWith('/admin/')
  const open = operation.security?.length === 0
  if (!refuses && !open) throw new Error(`${operation.operationId} does not say what it refuses`)
  const codes = [
    ...(admin ? ADMIN_CODES : []),
    ...(admin && method !== 'get' ? BODY_CODES : []),
    ...(isForHolders(path) ? HOLDER_CODES : []),
    ...(refuses ?? []),
  ]
  return {
    ...rest,
    security: open ? [] : [{ [admin ? 'adminToken' : 'apiKey']: [] }],
    ...(parameters?.length && {
      parameters: parameters.map((parameter) => completeParameter(parameter, named)),
    }),
    ...(requestBody && { requestBody: completeBody(requestBody, named) }),
    responses: {
      ...mapValues(responses, (response, status) => ({
        description: status === '201' ? 'Created.' : 'Done.',
        ...completeMessage(response, named),
        headers: {
          'X-Request-Id': { $ref: '#/components/headers/RequestId' },
          ...response.headers,
        },
      })),
      ...errorResponses([...codes, ...TARGET_CODES], admin || open ? 'operator' : 'holder'),
      '431': { description: 'The request line and the header fields are too large. Has no body.' },
    },
  }
}

function completeParameter(
  { examples, schema, ...rest }: Parameter,
  named: Record<string, Schema>,
): object {
  return {
    ...rest,
    schema: plainSchema(schema, named),
    ...(examples?.length && { example: examples[0] }),
  }
}

/**
 * An absent body counts as an empty object, so a body is required only where it must hold
 * something.
 */
function completeBody(body: Message, named: Record<string, Schema>): object {
  const [media] = Object.values(body.content ?? {})
  const { required, minProperties } = media?.schema ?? {}
  return { ...completeMessage(body, named), required: Boolean(required || minProperties) }
}

/** Keeps one content type, and puts its schema together again. */
function completeMessage(message: Message, named: Record<string, Schema>): Message {
  const { content = {}, description, headers: _, required: __, ...keywords } = message
  const [type] = Object.keys(content)
  const media = type && content[type]
  if (!media) return description ? { description } : {}
  const { examples = [], ...schema } = { ...keywords, ...media.schema } as Schema
  const example = media.example ?? examples[0]
  return {
    ...(description && { description }),
    content: {
      [type]: { schema: plainSchema(schema, named), ...(example !== undefined && { example }) },
    },
  }
}

function mapValues<From, To>(record: Record<string, From>, map: (value: From, name: string) => To) {
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [name, map(value, name)]))
}

const INFO = {
  title: 'quota-proxy',
  version: VERSION,
  description:
    'Hand out API keys with hard quotas in front of any HTTP API.\n\nOperators use `/admin` with the admin token: press **Authorize** and paste it. Key holders use `/proxy` with their key.\n\nA body for `/admin` is JSON of at most 256 KiB, 16 levels and 10000 values, in which each object has a member once and no text has NUL or half a surrogate pair; no member is named `__proto__`.',
  license: { name: 'MIT', url: 'https://opensource.org/license/mit' },
}

const TAGS = [
  { name: 'Proxy', description: 'For key holders: metered calls.' },
  { name: 'Own usage', description: 'For key holders: what is left, and what did it cost?' },
  { name: 'Keys', description: 'For the operator: issue, change and revoke keys.' },
  {
    name: 'Upstreams',
    description: 'For the operator: where calls go, and with which credential.',
  },
  { name: 'Usage', description: 'For the operator: what has been used.' },
  { name: 'Operations', description: 'For the operator: is everything in order?' },
  { name: 'Health', description: 'Probes.' },
]

const SECURITY_SCHEMES = {
  apiKey: {
    type: 'apiKey',
    in: 'header',
    name: 'X-API-Key',
    description:
      'A key that the operator has issued. It may also be sent where SDKs put theirs: `Authorization: Bearer`, `api-key` or `x-goog-api-key`.',
  },
  // Last, because Swagger UI puts the cursor into the last field.
  adminToken: {
    type: 'http',
    scheme: 'bearer',
    description: 'The admin token: `ADMIN_TOKEN`, or the file `admin-token` in the data directory.',
  },
}
