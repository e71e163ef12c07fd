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

\`GET /metrics\` answers in the text format of Prometheus. Send the admin token as \`Authorization: Bearer <token>\`, or the token
in \`METRICS_TOKEN\`, which opens nothing else. With \`METRICS_LISTEN\` the server offers the route on another address too, without
a token.

Nothing that clients send adds a series: upstreams are the operator's, and outcomes, codes and units are closed lists. No key,
address, path or model is a label. The series of an upstream end when it is deleted. Keys get series of their own, by their id, only for as many as \`METRICS_KEYS_MAX\` says.

| Name | Type | Labels | What it tells |
|---|---|---|---|
${rows.join('\n')}

- \`upstream\` is empty for an endpoint that belongs to no upstream, and for a call that ends before the proxy knows its key.
- \`outcome\` is \`refused\`, or what the ledger has of the call: \`answered\` is any answer that reached its end, whatever its
  status. \`code\` is one of [errors.md](errors.md), or empty. The calls do not include one that meets a fault of ours before
  its reservation, or arrives while the server stops.
- The clock of a call runs from the arrival of its head until the proxy has read the upstream's answer to its end and handed it
  on, or until the call has failed.
- The upstream's part begins when the proxy hands the request to a connection. It includes retries of a refused connection, the
  wait for the answer and its relay.
- The *added* part is everything before that: the look-up of the key, the rules, the name of the host, and the commit of the
  reservation. It also includes reading a body that the proxy must read whole (an envelope, or a model whose tokens it counts),
  with the wait for a client that sends it slowly. The settlement happens while the answer is on its way, and nobody waits for it.
- Refused calls are in none of the three durations. Calls for which no request went out are only in the first.
- Refunds are units that a call reserved and did not cost. A call that costs more than it reserved refunds nothing.
- Counters begin at zero with each start of the server; \`rate()\` and \`increase()\` know that.
- \`process_…\` is what the kernel says of the process, under the names that Prometheus's own clients use. Some exist on Linux only.

## Traces

The server can trace calls with OpenTelemetry (OTLP over HTTP). It loads and sends nothing unless the standard variables ask for
it. It reads them from the environment only, and at the start.

| Variable | What it does |
|---|---|
${variables.join('\n')}

- Each call has one span, with the name of its route, such as \`POST /u/{upstream}\`, \`POST /v1\` or \`POST /proxy\`. Within it is
  one for its request to the upstream, which ends with the answer. Requests of the admin API have none.
- The attributes are the HTTP conventions' method, route, scheme, status and error type, host and port of the upstream, and
  \`quota_proxy.request_id\` (as in the log), \`.upstream\`, \`.outcome\`, \`.code\` and \`.charged.requests\`, \`.tokens\`, \`.cost\`.
  No span has keys, addresses of clients, paths, queries, headers or bodies.
- The \`traceparent\` of the client is the parent, and the upstream gets one that continues it. \`tracestate\` passes on where the
  trace does. Without tracing both pass as they came, where headers pass at all.
- A client can ask for a trace, by a \`traceparent\` that says so. \`OTEL_TRACES_SAMPLER=traceidratio\` ignores that.
- At most 2048 spans wait. The server drops what it cannot send, and the log says once that sending fails. A stop sends what is
  left, and gives up after two seconds.
`
}
