/** What the admin API says about upstreams. Written by hand: a new column never appears in the API by itself. */
import { type Static, t } from 'elysia'
import { integer } from '../../http/fields/integer.ts'
import { listOf } from '../../http/pagination.ts'

const nullableInteger = t.Union([integer(), t.Null()])
const nullableTexts = t.Union([t.Array(t.String()), t.Null()])
const nullableInstant = t.Union([t.String({ format: 'date-time' }), t.Null()])
const texts = t.Record(t.String(), t.String())

const Credential = t.Object(
  {
    header: t.Optional(t.String()),
    query: t.Optional(t.String()),
    template: t.String(),
    set: t.Boolean({ description: 'Whether there is a secret. It is never shown.' }),
  },
  { title: 'UpstreamCredential' },
)

const Meter = t.Object(
  {
    kind: t.Union([t.Literal('none'), t.Literal('tokens'), t.Literal('json')]),
    output_tokens_default: t.Optional(integer()),
    path: t.Optional(t.String()),
    unit: t.Optional(t.Union([t.Literal('tokens'), t.Literal('cost')])),
    estimate: t.Optional(integer()),
  },
  { title: 'Meter' },
)

export const Upstream = t.Object(
  {
    name: t.String(),
    base_url: t.String(),
    mount: t.Union([t.String(), t.Null()]),
    enabled: t.Boolean(),
    source: t.Union([t.Literal('database'), t.Literal('environment')], {
      description: 'What is set in the environment cannot be changed here.',
    }),
    credential: t.Union([Credential, t.Null()]),
    headers: texts,
    methods: nullableTexts,
    paths: nullableTexts,
    timeouts: t.Object({
      first_byte_ms: nullableInteger,
      idle_ms: nullableInteger,
      total_ms: nullableInteger,
    }),
    body_bytes_max: nullableInteger,
    charge_on: t.Union([t.Literal('attempt'), t.Literal('answer'), t.Literal('success'), t.Null()]),
    costs: t.Array(
      t.Object({ method: t.Optional(t.String()), path: t.String(), requests: integer() }),
    ),
    meter: Meter,
    prices: t.Array(
      t.Object({
        model: t.String(),
        input: integer(),
        cached_input: t.Optional(integer()),
        output: integer(),
      }),
    ),
    concurrency: nullableInteger,
    retry_connect: t.Boolean(),
    cors_origins: t.Array(t.String()),
    model_aliases: texts,
    cookies: t.Boolean(),
    forward_client: t.Boolean(),
    rewrite_urls: t.Boolean(),
    websocket_seconds_max: nullableInteger,
    created_at: nullableInstant,
    updated_at: nullableInstant,
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
        forward_client: false, rewrite_urls: false, websocket_seconds_max: null,
        created_at: '2026-11-23T09:23:52Z', updated_at: '2026-11-23T09:23:52Z',
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
