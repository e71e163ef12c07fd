/** Upstreams as the admin API takes and shows them. */
import { type Static, t } from 'elysia'
import { BASE_URL_FORM } from '../../config/upstream.ts'
import { CHARGE_ON, UPSTREAM_NAME } from '../../domain/upstream.ts'
import { oneOfOrNull } from '../../http/fields/choice.ts'
import { shownInstantOrNull } from '../../http/fields/instant.ts'
import { integerOrNull } from '../../http/fields/integer.ts'
import { orNull, textOrNull, textsOrNull } from '../../http/fields/nullable.ts'
import { listOf } from '../../http/pagination.ts'
import { ShownCost, ShownMeter } from './counting.ts'
import { credentialForm, ShownCredential } from './credential.ts'
import { ShownPrice } from './prices.ts'
import { settingsFields } from './settings.ts'

// Any text is taken; one that cannot be a name names no upstream.
export const params = t.Object({
  name: t.String({ minLength: 1, description: 'The name of an upstream.', examples: ['openai'] }),
})

const upstreamName = t.String({
  pattern: UPSTREAM_NAME.source,
  error: 'must be 1 to 63 lower-case letters, digits and dashes, a letter first',
  description: 'Stands in URLs (`/u/{name}`), in the ledger and in metrics. Cannot be changed.',
  examples: ['openai'],
})

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
    ...settingsFields,
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
  { base_url: t.Optional(baseUrl), ...settingsFields, credential: t.Optional(credentialForm({})) },
  {
    title: 'UpdateUpstream',
    additionalProperties: false,
    minProperties: 1,
    error: 'must hold at least one field to change',
    examples: [{ enabled: true, timeouts: { idle_ms: 60_000 } }],
  },
)
export type UpdateUpstream = Static<typeof UpdateUpstream>

const shownTexts = t.Record(t.String(), t.String())

export const Upstream = t.Object(
  {
    name: t.String(),
    base_url: t.String(),
    mount: textOrNull,
    enabled: t.Boolean(),
    source: t.Union([t.Literal('database'), t.Literal('environment')], {
      description: 'What is set in the environment cannot be changed here.',
    }),
    credential: orNull(ShownCredential),
    headers: shownTexts,
    methods: textsOrNull,
    paths: textsOrNull,
    timeouts: t.Object({
      first_byte_ms: integerOrNull,
      idle_ms: integerOrNull,
      total_ms: integerOrNull,
    }),
    body_bytes_max: integerOrNull,
    charge_on: oneOfOrNull(CHARGE_ON),
    costs: t.Array(ShownCost),
    meter: ShownMeter,
    prices: t.Array(ShownPrice),
    concurrency: integerOrNull,
    retry_connect: t.Boolean(),
    cors_origins: t.Array(t.String()),
    model_aliases: shownTexts,
    cookies: t.Boolean(),
    forward_client: t.Boolean(),
    resend_safe: t.Boolean(),
    rewrite_urls: t.Boolean(),
    deferred_work: t.Boolean(),
    pass_locations: t.Boolean(),
    websocket_seconds_max: integerOrNull,
    created_at: shownInstantOrNull,
    updated_at: shownInstantOrNull,
  },
  {
    title: 'Upstream',
    examples: [
      {
        name: 'openai', base_url: 'https://api.openai.com/v1', mount: '/v1', enabled: true, source: 'database',
        credential: { header: 'authorization', template: 'Bearer {secret}', set: true },
        headers: {}, methods: null, paths: null,
        timeouts: { first_byte_ms: null, idle_ms: null, total_ms: null },
        body_bytes_max: null, charge_on: null, costs: [], meter: { kind: 'tokens', output_tokens_default: 1024 },
        prices: [], concurrency: null, retry_connect: false, cors_origins: [], model_aliases: {}, cookies: false,
        forward_client: false, resend_safe: true, rewrite_urls: false, deferred_work: false,
        pass_locations: false, websocket_seconds_max: null, created_at: '2026-11-23T09:23:52Z', updated_at: '2026-11-23T09:23:52Z',
      },
    ], // biome-ignore format: one upstream, one glance
  },
)
export type Upstream = Static<typeof Upstream>

export const UpstreamList = listOf(Upstream, Upstream['examples'], 'UpstreamList')

export const DeletedUpstream = t.Object(
  { name: t.String(), deleted: t.Literal(true) },
  { title: 'DeletedUpstream', examples: [{ name: 'openai', deleted: true }] },
)
