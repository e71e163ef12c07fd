/**
 * The settings of an upstream as the admin API takes them. `read.ts` checks what a schema cannot
 * say.
 */
import { t } from 'elysia'
import { MOUNT_FORM } from '../../config/upstream.ts'
import {
  BODY_BYTES_MAX,
  CHARGE_ON,
  HEADER_VALUE,
  MODEL_NAME,
  WAIT_MS_MAX,
} from '../../domain/upstream.ts'
import { oneOfOrNull } from '../../http/fields/choice.ts'
import { concurrency, wholeNumberOrNull } from '../../http/fields/integer.ts'
import { orNull } from '../../http/fields/nullable.ts'
import { HEADER_NAME } from '../../lib/http-syntax.ts'
import { ORIGIN } from '../../lib/text/origin.ts'
import { costRule, meter, method, PATH_GLOB_RULE, pathGlob } from './counting.ts'
import { modelPrices } from './prices.ts'

/** Nobody keeps a connection open for more than a day. */
const WEBSOCKET_SECONDS_MAX = 86_400

const SERVERS_OWN = " for the server's own setting"
const waitMs = (description: string) =>
  wholeNumberOrNull(1, WAIT_MS_MAX, SERVERS_OWN, { description })

/**
 * `read.ts` checks the values: a schema would name the wrong member, which is the caller's input.
 */
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

export const settingsFields = {
  mount: t.Optional(
    orNull(t.String({ documented: MOUNT_FORM }), {
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
    orNull(t.Array(method, { minItems: 1, maxItems: 32 }), {
      error: 'must be null for all, or a list of 1 to 32 methods in upper-case letters',
    }),
  ),
  paths: t.Optional(
    orNull(t.Array(pathGlob, { minItems: 1, maxItems: 64 }), {
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
  body_bytes_max: t.Optional(wholeNumberOrNull(1, BODY_BYTES_MAX, SERVERS_OWN)),
  charge_on: t.Optional(
    oneOfOrNull(CHARGE_ON, {
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
  prices: t.Optional(modelPrices),
  concurrency: t.Optional(concurrency('Most calls in flight to it at once; `null` is no limit.')),
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
        'Origins of pages and apps that may call it, as browsers send them: `https://app.example.com`, `app://obsidian.md`, `tauri://localhost`; `*` is every page.',
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
  resend_safe: t.Optional(
    t.Boolean({
      error: 'must be true or false',
      description:
        'Reuse connections for GET, HEAD and OPTIONS. Such a call may go out twice if its connection dies before any byte of an answer; it is charged once.',
    }),
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
        'Translate URLs in headers of requests: `Destination` and `If` from this server’s address to the upstream’s.',
    }),
  ),
  pass_locations: t.Optional(
    t.Boolean({
      error: 'must be true or false',
      description:
        'Pass `Location`, `Content-Location` and links that name other public hosts. A client that follows them may send its key there.',
    }),
  ),
  deferred_work: t.Optional(
    t.Boolean({
      error: 'must be true or false',
      description:
        'Let keys with limits in tokens or cost ask for work that is reported later (background responses, runs, batches). It is charged to the key that first reads its report.',
    }),
  ),
  websocket_seconds_max: t.Optional(
    wholeNumberOrNull(1, WEBSOCKET_SECONDS_MAX, ' for no WebSockets', {
      description: 'Longest life of a WebSocket; `null` is no WebSockets.',
    }),
  ),
}
