/**
 * The Helm chart: what it renders is what Kubernetes takes, what it must not render it refuses, and its documents say what
 * there is. Needs Helm, which has to be built (`go install helm.sh/helm/v4/cmd/helm@v4.3.1`); without it the tests that render
 * are skipped. There is no cluster here: nothing of this has been installed.
 */
import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import { join } from 'node:path'
import Ajv from 'ajv'
import manifest from '../../package.json' with { type: 'json' }
import { OPTIONS } from '../../src/config/options.ts'
import { CHART, obstacle, problemsOf, render, runHelm, type Values } from '../support/helm.ts'
import { CASES, REFUSED, SECRETS } from '../support/helm-cases.ts'

setDefaultTimeout(60_000)

describe.skipIf(obstacle !== null)(`the chart${obstacle ? ` (needs ${obstacle})` : ''}`, () => {
  test.each(Object.keys(CASES))('%s: Helm finds nothing to complain about', async (title) => {
    const { code, out, err } = await runHelm(['lint', '--strict'], valuesOf(title))
    expect({ code, said: code === 0 ? '' : out + err }).toEqual({ code: 0, said: '' })
  })

  test.each(Object.keys(CASES))('%s: Kubernetes would take every field of it', async (title) => {
    const manifests = await render(valuesOf(title))
    const known = manifests.filter(({ kind }) => kind !== 'ServiceMonitor')
    expect(known.flatMap(problemsOf)).toEqual([])
    const kinds = manifests.map(({ kind }) => kind).sort()
    const always = ['Pod', 'Service', 'Service', 'ServiceAccount']
    expect(kinds).toEqual([...always, ...(CASES[title]?.[1] ?? [])].sort())
  })

  test.each(Object.keys(REFUSED))('%s: is refused with what to do', async (title) => {
    const [values, said] = REFUSED[title] ?? [{}, /^$/]
    const failure = await render(values).then(
      () => 'it was taken',
      (error: Error) => error.message,
    )
    expect(failure.replaceAll('\n', ' ')).toMatch(said)
  })

  test.each(Object.keys(CASES))('%s: a pod may do nothing that it need not', async (title) => {
    for (const { spec } of await podsOf(title)) {
      expect(spec).toMatchObject({
        automountServiceAccountToken: false,
        enableServiceLinks: false,
        securityContext: {
          runAsNonRoot: true,
          runAsUser: 65532,
          seccompProfile: { type: 'RuntimeDefault' },
        },
      })
      for (const { securityContext, resources } of spec.containers) {
        expect(securityContext).toEqual({
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ['ALL'] },
        })
        expect(Object.keys(resources?.limits ?? {})).toContain('memory')
      }
    }
  })

  test.each(Object.keys(CASES))('%s: a pod lives until its calls have ended', async (title) => {
    const [pod] = await podsOf(title)
    const [server] = pod?.spec.containers ?? []
    const delayMs = Number(variableOf(server, 'SHUTDOWN_DELAY_MS'))
    expect(delayMs).toBeGreaterThanOrEqual(5_000)
    const graceMs = Number(variableOf(server, 'SHUTDOWN_GRACE_MS'))
    expect(graceMs).toBeGreaterThanOrEqual(30_000)
    const livesMs = (pod?.spec.terminationGracePeriodSeconds ?? 0) * 1_000
    expect(livesMs).toBeGreaterThan(delayMs + graceMs)
  })

  test.each(Object.keys(CASES))('%s: what it sets are settings, once each', async (title) => {
    const [pod] = await podsOf(title)
    const names = (pod?.spec.containers[0]?.env ?? []).map(({ name }) => name)
    const known = Object.values(OPTIONS).map(({ env }) => env as string)
    expect(names.filter((name) => !known.includes(name))).toEqual([])
    expect([...new Set(names)]).toEqual(names)
  })

  test('secrets stand in the Secret and nowhere else', async () => {
    const manifests = await render({ engine: 'postgres', secrets: SECRETS })
    const others = JSON.stringify(manifests.filter(({ kind }) => kind !== 'Secret'))
    for (const secret of Object.values(SECRETS)) expect(others).not.toContain(secret)
    const made = manifests.find(({ kind }) => kind === 'Secret')
    expect(Object.values(made?.stringData ?? {}).sort()).toEqual(Object.values(SECRETS).sort())
  })

  test('replicas share no data directory, and SQLite keeps its own on the volume', async () => {
    const [replica] = await podsOf('PostgreSQL, three replicas')
    expect(replica?.spec.volumes.find(({ name }) => name === 'data')).toMatchObject({
      emptyDir: {},
    })
    const [single] = await podsOf('nothing set')
    expect(single?.spec.volumes.map(({ name }) => name)).not.toContain('data')
    const set = (await render({})).find(({ kind }) => kind === 'StatefulSet')
    expect(set?.spec).toMatchObject({
      replicas: 1,
      volumeClaimTemplates: [
        { metadata: { name: 'data' }, spec: { accessModes: ['ReadWriteOnce'] } },
      ],
    })
  })

  test('nobody who comes by the Ingress reaches the operator’s routes', async () => {
    const manifests = await render(valuesOf('everything at once'))
    const ingress = manifests.find(({ kind }) => kind === 'Ingress')
    const services = manifests.filter(({ kind }) => kind === 'Service')
    const holders = services.find(({ metadata }) => metadata.name === 'quota')
    expect(JSON.stringify(ingress?.spec)).toContain(
      '"service":{"name":"quota","port":{"name":"http"}}',
    )
    expect(holders?.spec?.['ports']).toEqual([
      { name: 'http', port: 443, targetPort: 'http', appProtocol: 'https' },
    ])
    const [pod] = await podsOf('everything at once')
    expect(variableOf(pod?.spec.containers[0], 'ADMIN_LISTEN')).toBe('0.0.0.0:8788')
  })

  test('what selects pods selects those of the chart, and not the one that `helm test` starts', async () => {
    const manifests = await render(valuesOf('everything at once'))
    const [pod, asking] = await podsOf('everything at once')
    const selectors = manifests.flatMap(({ kind, spec }) => {
      if (kind === 'Service') return [spec?.['selector']]
      const { matchLabels } = (spec?.['selector'] ?? spec?.['podSelector'] ?? {}) as {
        matchLabels?: object
      }
      return matchLabels && kind !== 'ServiceMonitor' ? [matchLabels] : []
    }) as Record<string, string>[]
    expect(selectors.length).toBe(5)
    for (const selector of selectors) {
      expect(pod?.metadata.labels).toMatchObject(selector)
      expect(asking?.metadata.labels).not.toMatchObject(selector)
    }
  })

  test('Prometheus finds the metrics, under the name that the alert rules know', async () => {
    const manifests = await render(valuesOf('everything at once'))
    const monitor = manifests.find(({ kind }) => kind === 'ServiceMonitor')
    const { selector, endpoints } = (monitor?.spec ?? {}) as unknown as Monitor
    const found = manifests.filter(
      ({ kind, metadata }) =>
        kind === 'Service' &&
        Object.entries(selector.matchLabels).every(
          ([name, value]) => metadata.labels[name] === value,
        ),
    )
    expect(found.map(({ metadata }) => metadata.name)).toEqual(['quota-admin'])
    expect(endpoints).toMatchObject([
      { port: 'metrics', relabelings: [{ targetLabel: 'job', replacement: 'quota-proxy' }] },
    ])
  })
})

test('the chart is of the version of the program', async () => {
  const chart = Bun.YAML.parse(await Bun.file(join(CHART, 'Chart.yaml')).text()) as {
    appVersion: string
  }
  expect(chart.appVersion).toBe(manifest.version)
})

test('the README of the chart lists every value, and no other', async () => {
  const [, table = ''] = (await Bun.file(join(CHART, 'README.md')).text()).split('\n## Values\n')
  const cells = [...table.matchAll(/^\| (`[^|]*`) \|/gm)].map(([, cell = '']) => cell)
  const listed = cells.flatMap((cell) => cell.match(/[\w.]+/g) ?? [])
  expect(listed.sort()).toEqual(leavesOf(await shippedValues()).sort())
})

test('the values that are shipped keep their own schema, and a misspelled one does not', async () => {
  const schema = await Bun.file(join(CHART, 'values.schema.json')).json()
  const validate = new Ajv({ allErrors: true }).compile(schema)
  const values = await shippedValues()
  expect([validate(values), validate.errors]).toEqual([true, null])
  for (const wrong of [{ engines: 'x' }, { shutdown: { delay: 1 } }, { config: { PORT: '1' } }])
    expect([wrong, validate({ ...values, ...wrong })]).toEqual([wrong, false])
  const reserved: string[] = schema.properties.config.propertyNames.not.enum
  const known = Object.values(OPTIONS).map(({ env }) => env as string)
  expect(reserved.filter((name) => !known.includes(name))).toEqual([])
})

function valuesOf(title: string): Values {
  return CASES[title]?.[0] ?? {}
}

async function shippedValues(): Promise<Values> {
  return Bun.YAML.parse(await Bun.file(join(CHART, 'values.yaml')).text()) as Values
}

/** What an operator may set as a whole: maps of Kubernetes and of their own are one value each. */
const WHOLE = /^(?:resources|podSecurityContext|securityContext)$/

function leavesOf(values: Values, before = ''): string[] {
  return Object.entries(values).flatMap(([name, value]) => {
    const path = before + name
    const isGroup = typeof value === 'object' && value !== null && !Array.isArray(value)
    if (!isGroup || WHOLE.test(path) || Object.keys(value).length === 0) return [path]
    return leavesOf(value as Values, `${path}.`)
  })
}

type Container = {
  readonly securityContext: object
  readonly resources?: { readonly limits?: object }
  readonly env?: readonly { readonly name: string; readonly value?: string }[]
}
type Pod = {
  readonly metadata: { readonly labels: Readonly<Record<string, string>> }
  readonly spec: {
    readonly containers: readonly Container[]
    readonly volumes: readonly { readonly name: string }[]
    readonly terminationGracePeriodSeconds?: number
  }
}
type Monitor = {
  readonly selector: { readonly matchLabels: Readonly<Record<string, string>> }
  readonly endpoints: readonly object[]
}

/** The pod that serves, and then that of `helm test`. */
async function podsOf(title: string): Promise<Pod[]> {
  const manifests = await render(valuesOf(title))
  const serving = manifests.find(({ kind }) => kind === 'Deployment' || kind === 'StatefulSet')
  const asking = manifests.find(({ kind }) => kind === 'Pod')
  return [serving?.spec?.['template'], asking] as unknown as Pod[]
}

function variableOf(container: Container | undefined, name: string): string | undefined {
  return container?.env?.find((one) => one.name === name)?.value
}
