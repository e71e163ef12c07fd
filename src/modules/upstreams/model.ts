/** What the admin API takes about upstreams. What a schema cannot say is checked in `settings.ts` and `credential.ts`. */
import { type Static, type TSchema, t } from 'elysia'
import { BASE_URL_FORM, MOUNT_FORM, SECRET_FORM } from '../../config/upstream.ts'
import { integer } from '../../http/fields/integer.ts'
import { notTogether } from '../../http/openapi/schema.ts'
import { costRule, meter, method, modelPrice, PATH_GLOB_RULE, pathGlob } from './counting.ts'
import { HEADER_NAME, QUERY_NAME, TEMPLATE } from './credential.ts'
import { HEADER_VALUE, MODEL_NAME, ORIGIN } from './settings.ts'

/** As the settings of the same meaning: longer is a job for a queue. */
const WAIT_MS_MAX = 3_600_000
/** As `PROXY_BODY_BYTES_MAX`. */
const BODY_BYTES_MAX = 1024 ** 3
/** Nobody keeps one connection open for longer than a day. */
const WEBSOCKET_SECONDS_MAX = 86_400

const nullable = <T extends TSchema>(schema: T, options: { error: string; description?: string }) =>
  t.Union([schema, t.Null()], options)
const waitMs = (description: string) =>
  nullable(integer({ minimum: 1, maximum: WAIT_MS_MAX }), {
    error: `must be a whole number from 1 to ${WAIT_MS_MAX}, or null for the server's own setting`,
    description,
  })
const upstreamName = t.String({
  pattern: '^[a-z][a-z0-9-]{0,62}$',
  error: 'must be 1 to 63 lower-case letters, digits and dashes, a letter first',
  description: 'Stands in URLs (`/u/{name}`), in the ledger and in metrics. Cannot be changed.',
  examples: ['openai'],
})

const credentialFields = {
  secret: t.Optional(
    t.String({
      error: 'must be text',
      documented: SECRET_FORM,
      description: 'Stored sealed; never shown again.',
    }),
  ),
  header: t.Optional(
    t.String({
      error: 'must be text',
      documented: { pattern: HEADER_NAME.source },
      description:
        'The header that the credential goes into: `authorization` unless given, or `x-api-key` for `api.anthropic.com`.',
    }),
  ),
  query: t.Optional(
    t.String({
      error: 'must be text',
      documented: { pattern: QUERY_NAME.source },
      description: 'The query parameter that it goes into instead.',
    }),
  ),
  template: t.Optional(
    t.String({
      error: 'must be text',
      documented: { pattern: TEMPLATE.source },
      description:
        'What is sent, with `{secret}` once: `Bearer {secret}` in `authorization` unless given, elsewhere `{secret}`.',
      examples: ['Bearer {secret}'],
    }),
  ),
}
const credentialForm = (documented: object) =>
  nullable(
    t.Object(credentialFields, {
      additionalProperties: false,
      minProperties: 1,
      documented: { ...notTogether('header', 'query'), ...documented },
    }),
    {
      error: 'must be null, or an object with secret and perhaps header or query, and template',
      description: 'What the operator’s account is known by. `null` is none.',
    },
  )

/** Values are checked in `settings.ts`: a schema would name the member that is wrong, which is the caller's input. */
const textRecord = (maxProperties: number, description: string, name: RegExp, value: RegExp) =>
  t.Record(t.String(), t.Unknown(), {
    maxProperties,
    error: `must be an object with at most ${maxProperties} members`,
    description,
    documented: {
      propertyNames: { pattern: name.source },
      additionalProperties: { type: 'string', pattern: value.source },
    },
  })

const settings = {
  mount: t.Optional(
    nullable(t.String({ documented: MOUNT_FORM }), {
      error: 'must be a path such as /v1, or null',
      description:
        'Path of this server under which it is called, beside `/u/{name}`; none of its own, such as `/admin`.',
    }),
  ),
  enabled: t.Optional(t.Boolean({ error: 'must be true or false' })),
  headers: t.Optional(
    textRecord(
      64,
      'Sent with every call in the place of what the client sends; none that belongs to the connection, and none twice. Shown: no secrets.',
      HEADER_NAME,
      HEADER_VALUE,
    ),
  ),
  methods: t.Optional(
    nullable(t.Array(method, { minItems: 1, maxItems: 32 }), {
      error: 'must be null for all, or a list of 1 to 32 methods in upper-case letters',
    }),
  ),
  paths: t.Optional(
    nullable(t.Array(pathGlob, { minItems: 1, maxItems: 64 }), {
      error: `must be null for all, or a list of 1 to 64; each ${PATH_GLOB_RULE}`,
      description: 'Globs on the path after the base URL.',
    }),
  ),
  timeouts: t.Optional(
    t.Object(
      {
        first_byte_ms: t.Optional(waitMs('Until the head of the answer.')),
        idle_ms: t.Optional(waitMs('Between two pieces of the answer.')),
        total_ms: t.Optional(waitMs('For the whole call.')),
      },
      {
        additionalProperties: false,
        error: 'must be an object with first_byte_ms, idle_ms or total_ms',
      },
    ),
  ),
  body_bytes_max: t.Optional(
    nullable(integer({ minimum: 1, maximum: BODY_BYTES_MAX }), {
      error: `must be a whole number from 1 to ${BODY_BYTES_MAX}, or null for the server's own setting`,
    }),
  ),
  charge_on: t.Optional(
    t.Union([t.Literal('attempt'), t.Literal('answer'), t.Literal('success'), t.Null()], {
      error: "must be attempt, answer or success, or null for the server's own setting",
    }),
  ),
  costs: t.Optional(
    t.Array(costRule, {
      maxItems: 64,
      error: 'must be a list of at most 64 rules',
      description: 'The first that fits says how many requests a call counts for; none is one.',
    }),
  ),
  meter: t.Optional(meter),
  prices: t.Optional(
    t.Array(modelPrice, {
      maxItems: 500,
      error: 'must be a list of at most 500 prices',
      description:
        'In millionths of a unit of money; the first whose glob fits the model is taken. A change counts for calls from then on.',
    }),
  ),
  concurrency: t.Optional(
    nullable(integer({ minimum: 1, maximum: 100_000 }), {
      error: 'must be a whole number from 1 to 100000, or null',
      description: 'Most calls in flight to it at once; `null` is no limit.',
    }),
  ),
  retry_connect: t.Optional(
    t.Boolean({
      error: 'must be true or false',
      description: 'Try once more when the connection was refused, before anything was sent.',
    }),
  ),
  cors_origins: t.Optional(
    t.Array(t.String({ error: 'must be text', documented: { pattern: ORIGIN.source } }), {
      maxItems: 64,
      error: 'must be a list of at most 64 texts',
      description:
        'Origins of pages that may call it from a browser, as browsers send them; `*` is every page.',
    }),
  ),
  model_aliases: t.Optional(
    textRecord(
      256,
      'Names that clients may use for models, and what the upstream is asked for.',
      MODEL_NAME,
      MODEL_NAME,
    ),
  ),
  cookies: t.Optional(
    t.Boolean({ error: 'must be true or false', description: 'Pass cookies in both directions.' }),
  ),
  forward_client: t.Optional(
    t.Boolean({
      error: 'must be true or false',
      description: 'Tell the upstream the address of the client.',
    }),
  ),
  rewrite_urls: t.Optional(
    t.Boolean({
      error: 'must be true or false',
      description:
        'Translate URLs in headers: `Destination` and `If` of a request from this server’s address to the upstream’s, `Location`, `Content-Location` and `Link` of an answer back.',
    }),
  ),
  websocket_seconds_max: t.Optional(
    nullable(integer({ minimum: 1, maximum: WEBSOCKET_SECONDS_MAX }), {
      error: `must be a whole number from 1 to ${WEBSOCKET_SECONDS_MAX}, or null for no WebSockets`,
      description: 'Longest life of a WebSocket; `null` is no WebSockets.',
    }),
  ),
}

const baseUrl = t.String({
  error: 'must be text',
  documented: BASE_URL_FORM,
  description: 'http or https. It may be a private address: the operator has named it.',
  examples: ['https://api.openai.com/v1'],
})

export const CreateUpstream = t.Object(
  // There is none before, so that its secret must be given.
  {
    name: upstreamName,
    base_url: baseUrl,
    ...settings,
    credential: t.Optional(credentialForm({ required: ['secret'] })),
  },
  {
    title: 'CreateUpstream',
    additionalProperties: false,
    examples: [
      {
        name: 'openai',
        base_url: 'https://api.openai.com/v1',
        mount: '/v1',
        credential: { secret: 'sk-your-key' },
      },
    ],
  },
)
export type CreateUpstream = Static<typeof CreateUpstream>

export const UpdateUpstream = t.Object(
  { base_url: t.Optional(baseUrl), ...settings, credential: t.Optional(credentialForm({})) },
  {
    title: 'UpdateUpstream',
    additionalProperties: false,
    minProperties: 1,
    error: 'must hold at least one field to change',
    examples: [{ enabled: true, timeouts: { idle_ms: 60_000 } }],
  },
)
export type UpdateUpstream = Static<typeof UpdateUpstream>
