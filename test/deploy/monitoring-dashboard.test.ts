/** The dashboard: every query of it, and of the alert rules, is asked of a real Prometheus that scrapes real servers. */
import { describe, expect, test } from 'bun:test'
import { join } from 'node:path'
import { METRICS } from '../../src/modules/metrics/table.ts'
import { settled } from '../support/books.ts'
import { createAuthority } from '../support/certificate.ts'
import { ROOT } from '../support/markdown.ts'
import { addUpstream } from '../support/named-upstream.ts'
import {
  MONITORING,
  monitoringTest,
  type Prometheus,
  type Rules,
  shipped,
  startPrometheus,
} from '../support/prometheus.ts'
import { issueKey, startServer, type TestServer, temporaryDirectory } from '../support/server.ts'
import { startUpstream } from '../support/upstream.ts'
import { freePort } from '../support/wire.ts'

type Place = { readonly x: number; readonly y: number; readonly w: number; readonly h: number }
type Target = {
  readonly refId: string
  readonly expr: string
  readonly legendFormat: string
  readonly datasource: unknown
}
type Panel = {
  readonly id: number
  readonly type: string
  readonly title: string
  readonly description?: string
  readonly gridPos: Place
  readonly datasource?: unknown
  readonly targets?: readonly Target[]
}
type Variable = {
  readonly name: string
  readonly type: string
  readonly query: string | { readonly query: string }
}
type Dashboard = {
  readonly uid: string
  readonly title: string
  readonly panels: readonly Panel[]
  readonly templating: { readonly list: readonly Variable[] }
}

const dashboard = (await Bun.file(
  join(MONITORING, 'dashboards/quota-proxy.json'),
).json()) as Dashboard
const { panels } = dashboard
const rules = await shipped<Rules>('rules.yml')
const queries = panels.flatMap(({ title, targets = [] }) =>
  targets.map(({ expr, legendFormat }) => ({ title, expr, legendFormat })),
)

describe('the dashboard', () => {
  test('names each panel and each query in it once, and says what every panel shows', () => {
    const ids = panels.map(({ id }) => id)
    expect(new Set(ids).size).toBe(ids.length)
    for (const { type, title, description, targets = [] } of panels) {
      expect(title).not.toBe('')
      if (type === 'row') continue
      expect(description, title).toEndWith('.')
      expect(targets.length, title).toBeGreaterThan(0)
      expect(new Set(targets.map(({ refId }) => refId)).size).toBe(targets.length)
    }
  })

  test('has no panel that lies on another, or beside the grid', () => {
    for (const { title, gridPos } of panels) {
      const { x, w, h } = gridPos
      expect(x >= 0 && w > 0 && h > 0 && x + w <= 24, title).toBe(true)
      const under = panels.filter(
        (other) => other.gridPos !== gridPos && meet(gridPos, other.gridPos),
      )
      expect(under.map((other) => `${title} and ${other.title}`)).toEqual([])
    }
  })

  test('asks the chosen Prometheus only, for the chosen instances', () => {
    const chosen = { type: 'prometheus', uid: expect.stringMatching(/^\$\{datasource\}$/) }
    for (const { datasource, targets = [] } of panels.filter(({ type }) => type !== 'row'))
      for (const asked of [datasource, ...targets.map((target) => target.datasource)])
        expect(asked).toEqual(chosen)
    const variables = dashboard.templating.list.map(({ name }) => name)
    expect(variables).toEqual(['datasource', 'instance', 'upstream'])
    for (const { title, expr } of queries) {
      expect(expr, title).toContain('instance=~"$instance"')
      const used = [...expr.matchAll(/\$(\w+)/g)].map(([, name]) => name)
      const unknown = used.filter((name) => name !== '__rate_interval')
      expect(unknown.filter((name) => !variables.includes(name ?? ''))).toEqual([])
    }
  })

  test('is found by Grafana where compose puts it, with the Prometheus that is there', async () => {
    const { providers } = await shipped<{ providers: { options: { path: string } }[] }>(
      'provisioning/dashboards/quota-proxy.yml',
    )
    const { datasources } = await shipped<{
      datasources: { type: string; url: string; jsonData: { timeInterval: string } }[]
    }>('provisioning/datasources/prometheus.yml')
    const { global } = await shipped<{ global: { scrape_interval: string } }>('prometheus.yml')
    const compose = await Bun.file(join(ROOT, 'compose.yaml')).text()
    expect(compose).toContain(
      `./deploy/monitoring/dashboards:${providers[0]?.options.path ?? 'no provider'}:ro`,
    )
    expect(datasources).toMatchObject([
      {
        type: 'prometheus',
        url: 'http://prometheus:9090',
        jsonData: { timeInterval: global.scrape_interval },
      },
    ])
  })
})

test('every metric that the dashboard or a rule asks for is one that the server has', () => {
  expect(asked().filter((name) => !(name in METRICS))).toEqual([])
})

monitoringTest(
  'every query is answered, and those of the dashboard show what has happened',
  async () => {
    const targets = [`127.0.0.1:${await freePort()}`, `127.0.0.1:${await freePort()}`]
    const [target = '', targetWithTls = ''] = targets
    const server = await startServer({
      METRICS_LISTEN: target,
      METRICS_KEYS_MAX: '5',
      BACKUP_SCHEDULE: '17 3 * * *',
    })
    await startServer({ METRICS_LISTEN: targetWithTls, ...(await withTls()) })
    const prometheus = await startPrometheus(targets, rules)
    await live(server, prometheus)

    const silent: string[] = []
    for (const name of asked()) {
      const { type } = METRICS[name as keyof typeof METRICS]
      const series = type === 'histogram' ? `${name}_count` : name
      if ((await prometheus.query(series)).length === 0) silent.push(name)
    }
    expect(silent).toEqual([])

    const empty: string[] = []
    for (const { title, expr, legendFormat } of queries) {
      const samples = await prometheus.query(filled(expr))
      const named = [...legendFormat.matchAll(/\{\{(\w+)\}\}/g)].map(([, label = '']) => label)
      const isShown = samples.every(
        ({ metric, value }) => value[1] !== 'NaN' && named.every((label) => label in metric),
      )
      if (samples.length === 0 || !isShown) empty.push(title)
    }
    expect(empty).toEqual([])
    for (const { query } of dashboard.templating.list) {
      const [, metric = '', label = ''] =
        /^label_values\((.*), (\w+)\)$/.exec(typeof query === 'string' ? query : query.query) ?? []
      if (metric === '') continue
      const values = (await prometheus.query(filled(metric))).map((sample) => sample.metric[label])
      expect(values).toContain(label === 'instance' ? target : 'api')
    }
    for (const { alert, expr } of rules.groups.flatMap((group) => group.rules))
      expect(await prometheus.query(expr), alert).toBeArray()
  },
)

/** Names of metrics in queries and rules, without what a histogram adds to them. */
function asked(): string[] {
  const expressions = [
    ...queries.map(({ expr }) => expr),
    ...rules.groups.flatMap((group) => group.rules.map(({ expr }) => expr)),
  ]
  const names = expressions.flatMap((expr) => expr.match(/\b(?:quota_proxy|process)_\w+/g) ?? [])
  return [...new Set(names.map((name) => name.replace(/_(?:bucket|sum|count)$/, '')))].sort()
}

/** As Grafana sends it when everything is chosen. A rate goes over as many scrapes as there. */
function filled(expr: string): string {
  return expr
    .replaceAll('$__rate_interval', '4s')
    .replaceAll('$instance', '.*')
    .replaceAll('$upstream', '.*')
}

/** Calls of every kind, until Prometheus has seen them go on for a while. */
async function live(server: TestServer, prometheus: Prometheus): Promise<void> {
  const usage = { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 }
  const answers = startUpstream(() => Response.json({ model: 'm', choices: [], usage }))
  const rejects = startUpstream(() => new Response(null, { status: 401 }))
  await addUpstream(server, {
    name: 'api',
    base_url: answers.url,
    prices: [{ model: 'm', input: 1, output: 2 }],
  })
  const credential = { secret: 'sk-expired-0a1b2c3d4e5f6g7h' }
  await addUpstream(server, { name: 'rejecting', base_url: rejects.url, credential })
  const limits = [{ name: 'tokens', unit: 'tokens', amount: 1_000_000, window: 'day' }]
  const rich = await issueKey(server, { quota: 100_000, limits })
  const poor = await issueKey(server, { quota: 0 })
  const call = async (key: string, upstream: string) => {
    const body = JSON.stringify({ model: 'm', max_tokens: 100, messages: [] })
    const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' }
    const init = { method: 'POST', headers, body }
    await (await fetch(`${server.url}/u/${upstream}/chat/completions`, init)).text()
  }
  expect((await server.admin('POST', '/admin/backups', {})).status).toBe(201)
  expect((await server.admin('GET', '/admin/doctor')).status).toBe(200)
  const scrapes = async () => {
    const [sample] = await prometheus.query('min(count_over_time(up{job="quota-proxy"}[1m]))')
    return Number(sample?.value[1] ?? 0)
  }
  const until = (await scrapes()) + 6
  while ((await scrapes()) < until) {
    await Promise.all([call(rich.key, 'api'), call(poor.key, 'api'), call(rich.key, 'rejecting')])
    await Bun.sleep(100)
  }
  await settled(server)
}

async function withTls(): Promise<Record<string, string>> {
  const { cert, key } = await (await createAuthority()).issue('DNS:localhost')
  const directory = temporaryDirectory()
  const files = {
    TLS_CERT_FILE: join(directory, 'cert.pem'),
    TLS_KEY_FILE: join(directory, 'key.pem'),
  }
  await Bun.write(files.TLS_CERT_FILE, cert)
  await Bun.write(files.TLS_KEY_FILE, key)
  return files
}

function meet(one: Place, other: Place): boolean {
  const apart =
    one.x + one.w <= other.x ||
    other.x + other.w <= one.x ||
    one.y + one.h <= other.y ||
    other.y + other.h <= one.y
  return !apart
}
