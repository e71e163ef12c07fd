/** The text of docs/metrics.md: the table of metrics itself, and what their names do not say. Pure. */
import { TRACING_VARIABLES } from '../src/config/tracing.ts'
import { METRICS, type MetricRow } from '../src/modules/metrics/table.ts'

export function renderMetricsMarkdown(): string {
  const rows = Object.entries<MetricRow>(METRICS).map(([name, { type, labels, help }]) => {
    const shown = labels.map((label) => `\`${label}\``).join(', ')
    return `| \`${name}\` | ${type} | ${shown} | ${help} |`
  })
  const variables = TRACING_VARIABLES.map(([name, sentence]) => `| \`${name}\` | ${sentence} |`)
  return `# Metrics and traces

<!-- Made from src/modules/metrics/table.ts and scripts/render-metrics.ts by \`bun run generate\`; change it there. -->

## Metrics

\`GET /metrics\` answers in the text format of Prometheus, to whoever sends the admin token, or the token in
\`METRICS_TOKEN\`, which opens nothing else, as \`Authorization: Bearer <token>\`. With \`METRICS_LISTEN\` it is served on an
address of its own too, without a token.

Whatever clients send adds no series: upstreams are the operator's, and outcomes, codes and units are closed lists. No key,
address, path or model is a label. Keys have series of their own only if \`METRICS_KEYS_MAX\` says for how many, by their id.

| Name | Type | Labels | What it tells |
|---|---|---|---|
${rows.join('\n')}

- \`upstream\` is empty for an endpoint that is no upstream's, and for a call that was refused before its key was known.
- \`outcome\` is \`refused\`, or what the ledger has of the call: \`answered\` is any answer that reached its end, whatever its
  status. \`code\` is one of [errors.md](errors.md), or empty. A call that meets a fault of ours before its units are
  reserved, or arrives while the server stops, is not among the calls.
- The clock of a call runs from the arrival of its head until the answer of the upstream has been read to its end and handed
  on, or the call has failed. The upstream's part begins when the request is handed to a connection, so that retries of a
  refused connection, the wait for the answer and its relay are in it. What is *added* is all before: the look-up of the
  key, the rules, the name of the host, the commit of the reservation, and reading the body where it must be read whole (an
  envelope, or a model whose tokens are counted), with the wait for a client that is slow to send it. The settlement is
  written when the answer is on its way, and nobody waits for it. Refused calls are in none of the three, and calls for
  which no request went out only in the first.
- Refunds are what was reserved and not charged. A call that costs more than was reserved for it refunds nothing.
- Counters begin at zero with each start of the server; \`rate()\` and \`increase()\` know that.
- \`process_…\` is what the kernel says of the process, under the names that Prometheus's own clients use. Some exist on Linux only.

## Traces

Calls can be traced with OpenTelemetry (OTLP over HTTP). Nothing is loaded or sent unless its standard variables ask for it;
they are read from the environment only, and at the start.

| Variable | What it does |
|---|---|
${variables.join('\n')}

- One span for each call, named by its route, such as \`POST /u/{upstream}\`, \`POST /v1\` or \`POST /proxy\`, and one within it
  for its request to the upstream, which ends with the answer. Requests of the admin API are not traced.
- The attributes are the HTTP conventions' method, route, scheme, status and error type, host and port of the upstream, and
  \`quota_proxy.request_id\` (as in the log), \`.upstream\`, \`.outcome\`, \`.code\` and \`.charged.requests\`, \`.tokens\`, \`.cost\`.
  Keys, addresses of clients, paths, queries, headers and bodies are in none.
- The \`traceparent\` of the client is the parent, and the upstream is sent one that continues it. \`tracestate\` passes on
  where the trace does. Without tracing both pass as they came, where headers pass at all.
- Whoever calls can ask to be traced, by a \`traceparent\` that says so; \`OTEL_TRACES_SAMPLER=traceidratio\` does not
  listen.
- What cannot be sent is dropped, at most 2048 spans wait, and the log says once that it fails. A stop sends what is left,
  and gives up after two seconds.
`
}
