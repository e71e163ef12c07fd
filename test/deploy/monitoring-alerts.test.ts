/**
 * An alert on its whole way: something breaks, Prometheus sees it by the shipped rules, Alertmanager tells a webhook, and
 * tells it again when all is well. Only how long things take is cut short.
 */
import { expect } from 'bun:test'
import { addUpstream } from '../support/named-upstream.ts'
import {
  monitoringTest,
  type Prometheus,
  type Rules,
  shipped,
  startAlertmanager,
  startPrometheus,
} from '../support/prometheus.ts'
import { issueKey, startServer } from '../support/server.ts'
import { startUpstream } from '../support/upstream.ts'
import { freePort } from '../support/wire.ts'

/** What Alertmanager sends: https://prometheus.io/docs/alerting/latest/configuration/#webhook_config */
type Message = {
  readonly receiver: string
  readonly status: 'firing' | 'resolved'
  readonly alerts: {
    readonly status: string
    readonly labels: Record<string, string>
    readonly annotations: Record<string, string>
  }[]
}

/** Long enough for the state before firing to be seen by whoever asks all the time. */
const FOR = '3s'

/** The shipped rules, with the same expressions. */
async function hastyRules(): Promise<Rules> {
  const { groups } = await shipped<Rules>('rules.yml')
  return {
    groups: groups.map(({ name, rules }) => ({
      name,
      rules: rules.map((rule) => ({ ...rule, for: FOR })),
    })),
  }
}

/** A real receiver of messages. */
function startWebhook() {
  const messages: { readonly path: string; readonly body: Message }[] = []
  const { url } = startUpstream((_request, { path, body }) => {
    messages.push({ path, body: JSON.parse(body) as Message })
    return new Response()
  })
  return {
    url,
    /** The message of that status about that alert. */
    async told(status: Message['status'], alert: string): Promise<Message & { path: string }> {
      for (;;) {
        for (const { path, body } of messages)
          if (body.status === status && body.alerts[0]?.labels['alertname'] === alert)
            return { ...body, path }
        await Bun.sleep(100)
      }
    },
  }
}

/** Every state that the alert is in until it is in the last one; null stands for none, and is left out. */
async function statesUntil(
  prometheus: Prometheus,
  alert: string,
  last: 'firing' | null,
): Promise<string[]> {
  const seen: (string | null)[] = []
  while (seen.length === 0 || seen.at(-1) !== last) {
    const now = (await prometheus.alerts()).find(({ labels }) => labels['alertname'] === alert)
    const state = now?.state ?? null
    if (seen.at(-1) !== state) seen.push(state)
    await Bun.sleep(100)
  }
  return seen.filter((state) => state !== null)
}

monitoringTest(
  'an upstream that fails, and a server that stops, go from pending to firing to a message, and back',
  async () => {
    const webhook = startWebhook()
    const port = await freePort()
    const target = `127.0.0.1:${port}`
    const server = await startServer({ METRICS_LISTEN: target })
    const alertmanager = await startAlertmanager(webhook.url)
    const prometheus = await startPrometheus([target], await hastyRules(), alertmanager)

    let isDown = true
    const upstream = startUpstream(() => new Response(null, { status: isDown ? 503 : 200 }))
    await addUpstream(server, { name: 'weather', base_url: upstream.url })
    const keys = await Promise.all(Array.from({ length: 10 }, () => issueKey(server)))
    const call = async (n = 0) => {
      const headers = { authorization: `Bearer ${keys[n]?.key}` }
      const response = await fetch(`${server.url}/u/weather/now`, { headers })
      await response.text()
      return response.status
    }
    for (let n = 0; n < keys.length; n++) await call(n)
    expect(await statesUntil(prometheus, 'QuotaProxyCircuitOpen', 'firing')).toEqual([
      'pending',
      'firing',
    ])
    const opened = await webhook.told('firing', 'QuotaProxyCircuitOpen')
    expect(opened).toMatchObject({ receiver: 'critical', path: '/critical' })
    expect(opened.alerts[0]).toMatchObject({
      status: 'firing',
      labels: { severity: 'critical', upstream: 'weather', job: 'quota-proxy', instance: target },
      annotations: {
        summary: 'Calls to upstream weather are refused, since it keeps failing',
        description: expect.stringContaining('base_url'),
        runbook_url: expect.stringMatching(/^docs\/[\w-]+\.md#/),
      },
    })

    isDown = false
    while ((await call()) !== 200) await Bun.sleep(200)
    await statesUntil(prometheus, 'QuotaProxyCircuitOpen', null)
    await webhook.told('resolved', 'QuotaProxyCircuitOpen')

    await server.stop()
    expect(await statesUntil(prometheus, 'QuotaProxyDown', 'firing')).toEqual(['pending', 'firing'])
    const down = await webhook.told('firing', 'QuotaProxyDown')
    expect(down.alerts[0]?.annotations['summary']).toBe(`quota-proxy at ${target} is down`)
    await startServer({ METRICS_LISTEN: target }, server.dataDir)
    await statesUntil(prometheus, 'QuotaProxyDown', null)
    await webhook.told('resolved', 'QuotaProxyDown')
  },
)

monitoringTest('every message can be read: nothing of its template is left', async () => {
  const { groups } = await shipped<Rules>('rules.yml')
  const rules = groups.flatMap((group) => group.rules)
  // Each alert as it is, but always firing, for a series with the labels that such a one has.
  const firing = rules.map(({ alert, labels, annotations }) => ({
    alert,
    labels,
    annotations,
    expr: 'label_replace(label_replace(vector(0.25), "instance", "here:9464", "", ""), "upstream", "weather", "", "")',
  }))
  const prometheus = await startPrometheus([], { groups: [{ name: 'all', rules: firing }] })
  let alerts = await prometheus.alerts()
  while (alerts.length < rules.length) {
    await Bun.sleep(100)
    alerts = await prometheus.alerts()
  }
  for (const { labels, annotations } of alerts) {
    for (const text of Object.values(annotations)) {
      expect(text).not.toMatch(/[{}]|<error|<no value>|%!|NaN|\s\s/)
      expect(text.trim()).toBe(text)
    }
    const { summary = '' } = annotations
    expect(summary, labels['alertname']).toMatch(/here:9464|weather/)
  }
})

monitoringTest('what follows from another alert is not told as well', async () => {
  const alertmanager = await startAlertmanager('http://127.0.0.1:9')
  const instance = 'here:9464'
  const alert = (alertname: string, severity: string, more = {}) => ({
    labels: { alertname, severity, instance, ...more },
  })
  const alerts = [
    alert('QuotaProxyDiskFull', 'warning', { instance: 'there:9464' }),
    alert('QuotaProxyDiskFull', 'critical', { instance: 'there:9464' }),
    alert('QuotaProxyCircuitOpen', 'critical', { instance: 'there:9464', upstream: 'a' }),
    alert('QuotaProxyUpstreamErrors', 'warning', { instance: 'there:9464', upstream: 'a' }),
    alert('QuotaProxyUpstreamErrors', 'warning', { instance: 'there:9464', upstream: 'b' }),
    alert('QuotaProxyDown', 'critical'),
    alert('QuotaProxyBackupOld', 'warning'),
    alert('QuotaProxyStoreFailing', 'critical'),
  ]
  const url = `http://${alertmanager}/api/v2/alerts`
  const headers = { 'content-type': 'application/json' }
  const sent = await fetch(url, { method: 'POST', headers, body: JSON.stringify(alerts) })
  expect(sent.status).toBe(200)
  type Shown = { labels: Record<string, string>; status: { state: string } }
  const told = async () => {
    const shown = (await (await fetch(url)).json()) as Shown[]
    return shown
      .filter(({ status }) => status.state === 'active')
      .map(({ labels: { alertname, severity, upstream } }) => ({ alertname, severity, upstream }))
  }
  // Alertmanager needs a moment to see which alerts follow from which.
  for (let tries = 0; tries < 50 && (await told()).length !== 4; tries++) await Bun.sleep(100)
  const active = await told()
  expect(active).toHaveLength(4)
  expect(active).toEqual(
    expect.arrayContaining([
      { alertname: 'QuotaProxyDiskFull', severity: 'critical', upstream: undefined },
      { alertname: 'QuotaProxyCircuitOpen', severity: 'critical', upstream: 'a' },
      { alertname: 'QuotaProxyUpstreamErrors', severity: 'warning', upstream: 'b' },
      { alertname: 'QuotaProxyDown', severity: 'critical', upstream: undefined },
    ]),
  )
})
