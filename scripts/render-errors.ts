/**
 * The text of docs/errors.md: every code that quota-proxy can answer, from the closed list itself, with what to check
 * when it turns up. A code without advice does not compile. Pure.
 */
import { ERRORS, type ErrorCode } from '../src/errors.ts'

/** What key holders get, from `/proxy`. */
const HOLDERS = {
  missing_api_key: 'Send the key as `X-API-Key: <key>` or `Authorization: Bearer <key>`.',
  ambiguous_api_key:
    'Two headers carry different keys of this server. Send one of them, or the same key in both.',
  invalid_api_key:
    'A typing error, or a key that the operator has deleted or never issued. All three get this same answer on purpose.',
  api_key_disabled: 'The operator has set `enabled` to `false`.',
  api_key_expired: 'The instant in `expires_at` has passed. The operator can move it.',
  target_not_allowed:
    '`message` says why: a scheme other than http and https, a private or unknown address, or a target outside the list. The operator decides with `PROXY_EGRESS` and `PROXY_EGRESS_ALLOW`, or with `upstreams` of the key.',
  method_not_allowed_for_key: 'The operator has restricted the key to certain `methods`.',
  path_not_allowed:
    'The operator has restricted the key, or the upstream, to certain `paths`; each is a pattern, and `/chat/**` does not include `/chat`.',
  model_not_allowed:
    'The operator has restricted the key to certain `models`. A body that names none in `model`, and that can be read as neither JSON nor a form with files, is refused as well, unless the path names one.',
  deferred_work_not_allowed:
    'A key with a limit in tokens or cost may not ask for work that is reported later: `background`, runs without a stream, batches. Send the call without it, or the operator opens the upstream with `deferred_work`.',
  model_not_priced:
    'The key has a limit in money, and the upstream has no price for the model, or for one of those to fall back to. Nothing was charged. The operator enters a price with `quota-proxy prices import`; a price of 0 makes a model free.',
  ip_not_allowed:
    'The operator has restricted the key to certain networks (`ip_allow`). If the operator has a proxy in front, the server must know it (`TRUSTED_PROXIES`), or every call seems to come from there.',
  invalid_request: '`errors` names the fields of the envelope that are wrong.',
  rate_limit_exceeded:
    'A limit per minute or hour is used up. Or the key has asked about itself too often, or an operator too much at once. Wait for the seconds in `Retry-After`.',
  insufficient_quota:
    'A lifetime quota is used up, and only the operator can help. Or one per day, week or month is, and `Retry-After` and `resets_at` say when it starts anew.',
  cost_exceeds_quota: 'Ask for less in one call, or the operator for a larger quota.',
  quota_reserved: 'Calls in flight hold what is left and may give it back. Try again in a second.',
  concurrency_limit_exceeded:
    'The key, or the upstream, has as many calls in flight as its `concurrency` allows, or the key has its share of all (`PROXY_IN_FLIGHT_MAX`). Wait for one to end.',
  overloaded:
    'Too many calls are in flight (`PROXY_IN_FLIGHT_MAX`), too many of them to this upstream, or their bodies take too much memory (`PROXY_BUFFER_BYTES_MAX`). Nothing was charged. Try again after `Retry-After`.',
  client_closed_request:
    'The client left before it got an answer. Nobody receives this code; the log and the metrics have it.',
  malformed_request:
    'The Host is no host, or there are two; the URL holds a `#` or bytes that are neither UTF-8 nor percent-encoded; Content-Length is no number; or the proxy cannot send a header on. Nothing was charged.',
  uri_too_long: 'Send long values in the body.',
  header_fields_too_large: 'Send fewer or shorter header fields.',
  websockets_not_allowed:
    'Send the call over plain HTTP: clients that ask for a WebSocket first fall back by themselves. The operator opens WebSockets with `websocket_seconds_max` of the upstream.',
  upstream_error:
    'The upstream refused the connection, failed its TLS check, or broke off before it had answered.',
  upstream_timeout:
    'The upstream was silent for `PROXY_IDLE_TIMEOUT_MS`, or the call took longer than `timeout_ms` or `PROXY_TIMEOUT_MS`.',
  upstream_unavailable:
    'The upstream has failed ten calls in a row, of several keys or before any connection, so the proxy sends it nothing for five seconds. `GET /readyz?verbose` shows which.',
  upstream_credential_rejected:
    'The upstream answered 401 to the credential that the operator has set, or said with a 400 or 403 that it is not valid. The log says which upstream; `PATCH /admin/upstreams/{name}` sets another one. A 401 or 403 that the request itself has caused, such as a model that the account does not have, passes as it is.',
  shutting_down: 'The server is stopping. Try again: the next one takes over.',
} as const satisfies Partial<Record<ErrorCode, string>>

/** What operators get, from `/admin`. */
const OPERATORS = {
  missing_admin_token: 'Send the token as `Authorization: Bearer <token>`.',
  invalid_admin_token:
    'Compare it with `ADMIN_TOKEN`, or with the file `admin-token` in the data directory.',
  too_many_attempts:
    'This address has sent more than ten wrong tokens within a minute. The right token still works.',
  invalid_json: 'Look for a missing quote, comma or brace, and for bytes that are not UTF-8.',
  validation_failed: '`errors` says for each wrong field or parameter what it must be.',
  key_not_found: 'Give the id (`key_…`) or the whole key. `GET /admin/keys` lists the ids.',
  key_already_exists: 'The server has the key to import already, or the request names it twice.',
  upstream_already_exists:
    'Change it with `PATCH /admin/upstreams/{name}`, or choose another name. While `UPSTREAM_BASE_URL` is set, it takes `default`.',
  mount_taken:
    '`GET /admin/upstreams` shows which upstream has it. Choose another path, or `null`.',
  upstream_read_only:
    '`UPSTREAM_BASE_URL`, `UPSTREAM_API_KEY` and `UPSTREAM_MOUNT` make this upstream. Change these and start again.',
  backup_running:
    'Only one backup runs at a time. Wait until it has ended; `GET /admin/backups` shows it.',
  backup_failed:
    '`detail` says why: a full or missing directory, a damaged database, a storage that does not answer. Earlier backups are untouched.',
} as const satisfies Partial<Record<ErrorCode, string>>

/** What both get, each in the form of its API. */
const BOTH = {
  request_timeout:
    'The body had not arrived whole within `PROXY_IDLE_TIMEOUT_MS`, or 30 seconds for the admin API.',
  request_too_large: '`/proxy` takes `PROXY_BODY_BYTES_MAX` bytes, the admin API 256 KiB.',
  unsupported_media_type:
    'The admin API takes `Content-Type: application/json`. On the way to an upstream, a key with a limit in tokens or money may send JSON, or a form with files, coded with gzip, zstd, br or deflate, or not at all: the proxy has to read what is asked for.',
  upstream_not_found:
    'No upstream has this name, or it is disabled. The operator finds all of them with `GET /admin/upstreams`.',
  call_not_found:
    'The id is the `X-Quota-Charge-Id` of an answer. Holders see only calls of their own key, and the server prunes old entries (`CALLS_RETENTION_DAYS`).',
  not_found:
    '`/swagger` shows every path. Of a call, `message` names the mounts that there are: the base URL of the client lacks one of them, has another, has its version twice, as in `/v1/v1/messages`, or ends with a slash, as in `/v1//messages`. A key that is restricted to certain models is told this of any other.',
  method_not_allowed: 'The header `Allow` lists the methods that this path takes.',
  storage_unavailable:
    'Nothing was charged, and the proxy made no upstream request. Look in the log for what the database says: a full disk, a file that nobody can write, another process that holds it.',
  internal: 'A fault of ours. The log has the details under the same `request_id`.',
} as const satisfies Partial<Record<ErrorCode, string>>

/** Every code stands in one of the three lists; leaving one out is a type error here. */
const ADVICE: Record<ErrorCode, string> = { ...HOLDERS, ...OPERATORS, ...BOTH }

export function renderErrorsMarkdown(): string {
  return `# Errors

<!-- Made from src/errors.ts and scripts/render-errors.ts by \`bun run generate\`; change it there. -->

Programs switch on the code. A released code never changes its meaning or its status; messages may change.

Key holders get the body that clients of the API parse which they speak. The path tells which that is, or else a header that
only one API has. In every one of them "…" stands for \`"limit"?, "remaining"?, "resets_at"?, "errors"?\`.

| API | Told by | Body |
|---|---|---|
| OpenAI, and any other; the envelope; \`/me\` | \`/chat/completions\`, \`/responses\`, … | \`{"error": {"message", "type", "code", "param": null, …, "request_id"}}\` |
| Anthropic | \`/messages\`; \`anthropic-version\` | \`{"type": "error", "error": {"type", "message", "code", …}, "request_id"}\`; \`type\` is Anthropic's own for the status |
| Gemini | \`/v1beta/…\`, \`/models/x:generateContent\`; \`x-goog-api-key\` | \`{"error": {"code", "message", "status", "details"}}\`; \`code\` is the status, and the first of \`details\` is an \`ErrorInfo\` whose \`metadata\` has our \`code\`, … and \`request_id\`; where waiting helps a \`RetryInfo\` follows |
| Ollama | \`/api/chat\`, \`/api/generate\`, … | \`{"error": "message", "code", …, "request_id"}\` |
| Cohere | \`/v2/chat\`, \`/v1/rerank\`, … | \`{"message", "error": …}\`, where \`error\` is as OpenAI's |

The header \`X-Quota-Error\` has the code, whichever body it is. Operators get RFC 9457 \`application/problem+json\`:
\`{"type", "title", "status", "detail", "code", "request_id", "errors"?}\`. Neither repeats the input. Every answer,
refusal or not, carries \`X-Request-Id\`, and the lines of the log bear the same id.

"Retry" says whether the same request, unchanged, can succeed later. \`Retry-After\` says how many seconds to wait, where the
server knows it. \`x-should-retry\` says whether an SDK should try again by itself: where "Retry" says yes, unless a window of
more than a minute has to end first; and where any window ends within a minute. The SDKs of OpenAI and Anthropic obey it. Those of
Vercel (\`ai\`), Cohere and Google go by the status alone. What they try again costs nothing, and reaches no upstream.

[failure-modes.md](failure-modes.md#by-error-code) says what the operator checks at each code.

## For key holders

${table(HOLDERS)}

## For operators

${table(OPERATORS)}

## For both

${table(BOTH)}
`
}

function table(section: Partial<Record<ErrorCode, string>>): string {
  const codes = Object.keys(ERRORS) as ErrorCode[]
  const rows = codes
    .filter((code) => code in section)
    .map((code) => {
      const { status, retry, title } = ERRORS[code]
      return `| \`${code}\` | ${status} | ${retry ? 'yes' : 'no'} | ${title}. ${ADVICE[code]} |`
    })
  return [
    '| Code | Status | Retry | Meaning, and what to check |',
    '|---|---|---|---|',
    ...rows,
  ].join('\n')
}
