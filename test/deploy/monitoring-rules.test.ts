/** What is shipped for Prometheus and Alertmanager, as their own tools see it. */
import { expect, test } from 'bun:test'
import { join } from 'node:path'
import { anchorsOf, ROOT, readDocument } from '../support/markdown.ts'
import {
  MONITORING,
  monitoringTest,
  mustRun,
  type Receiver,
  type Rules,
  shipped,
} from '../support/prometheus.ts'
import { temporaryDirectory } from '../support/server.ts'

const path = (name: string) => join(MONITORING, name)
const rules = (await shipped<Rules>('rules.yml')).groups.flatMap((group) => group.rules)

type RulesTest = {
  readonly tests: { readonly promql_expr_test: { expr: string; exp_samples: unknown[] }[] }[]
}

monitoringTest('Prometheus takes its configuration and the rules', async () => {
  expect(await mustRun('promtool', 'check', 'config', path('prometheus.yml'))).toContain(
    `SUCCESS: ${rules.length} rules found`,
  )
})

monitoringTest('every alert fires when it must, and not when it must not', async () => {
  await mustRun('promtool', 'test', 'rules', path('rules.test.yml'))
})

test('for every alert there is a case in which it fires and one in which it does not', async () => {
  const { tests } = await shipped<RulesTest>('rules.test.yml')
  const cases = tests.flatMap((one) => one.promql_expr_test)
  const wanting = rules.flatMap(({ alert, labels }) => {
    const isAbout = `{alertname="${alert}",severity="${labels['severity']}",alertstate="firing"`
    const own = cases.filter(({ expr }) => expr.includes(isAbout))
    const both = own.some((one) => one.exp_samples.length > 0)
    return both && own.some((one) => one.exp_samples.length === 0) ? [] : [isAbout]
  })
  expect(wanting).toEqual([])
})

test('every alert says what is wrong and what to do, and leads to a page that says more', async () => {
  for (const { alert, labels, annotations } of rules) {
    expect({ alert, severity: labels['severity'] }).toEqual({
      alert,
      severity: expect.stringMatching(/^(critical|warning)$/),
    })
    expect(Object.keys(annotations).sort()).toEqual(['description', 'runbook_url', 'summary'])
    const [document = '', anchor = ''] = (annotations['runbook_url'] ?? '').split('#')
    expect(anchorsOf(await readDocument(document))).toContain(anchor)
  }
})

test('docs/monitoring.md lists every alert with its severity, and no other', async () => {
  const listed = [
    ...(await readDocument('docs/monitoring.md')).matchAll(/^\| `(QuotaProxy\w+)` \| (\w+) \|/gm),
  ].map(([, alert, severity]) => `${alert} ${severity}`)
  expect(listed.sort()).toEqual(
    rules.map(({ alert, labels }) => `${alert} ${labels['severity']}`).sort(),
  )
})

monitoringTest('Alertmanager takes its configuration', async () => {
  expect(await mustRun('amtool', 'check-config', path('alertmanager.yml'))).toContain('SUCCESS')
})

monitoringTest('every alert is routed by its severity to a receiver that speaks', async () => {
  const { receivers } = await shipped<{ receivers: Receiver[] }>('alertmanager.yml')
  for (const { name, webhook_configs } of receivers)
    expect({ name, urls: webhook_configs.map(({ url }) => url) }).toEqual({
      name,
      urls: ['http://webhook.invalid/'],
    })
  const routes = new Set(
    rules.map(({ alert, labels }) => `alertname=${alert} severity=${labels['severity']}`),
  )
  for (const route of routes) {
    const command = ['config', 'routes', 'test', `--config.file=${path('alertmanager.yml')}`]
    const receiver = (await mustRun('amtool', ...command, ...route.split(' '))).trim()
    expect(`${route}: ${receiver}`).toBe(`${route}: ${/severity=(.*)/.exec(route)?.[1]}`)
  }
})

monitoringTest('what docs/monitoring.md says to write and to run is right', async () => {
  const text = await readDocument('docs/monitoring.md')
  const blocks = (language: string) =>
    [...text.matchAll(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\`$`, 'gms'))].map(
      ([, block = '']) => block,
    )
  const directory = temporaryDirectory()
  const inDirectory = (name: string) => join(directory, name)
  await Bun.write(inDirectory('rules.yml'), Bun.file(path('rules.yml')))

  const [whole = '', withToken = ''] = blocks('yaml')
  await Bun.write(inDirectory('whole.yml'), whole)
  await Bun.write(inDirectory('token.yml'), `scrape_configs:\n${withToken}`)
  // The token is not where the text has it.
  for (const config of [['whole.yml'], ['token.yml', '--syntax-only']].map(
    ([name = '', ...flags]) => [inDirectory(name), ...flags],
  ))
    expect(await mustRun('promtool', 'check', 'config', ...config)).toContain('SUCCESS')

  const copy = /^sed .*$/m.exec(blocks('bash').join(''))?.[0] ?? ''
  await mustRun('sh', '-c', `cd ${directory} && ln -s ${ROOT}/deploy deploy && ${copy}`)
  await mustRun('amtool', 'check-config', inDirectory('alertmanager.yml'))
  const copied = await Bun.file(inDirectory('alertmanager.yml')).text()
  expect(copied.match(/url: https:\/\/hooks\.example\.org\/quota-proxy$/gm)).toHaveLength(2)
})

/** The part of compose.yaml that is asked for here. */
type Compose = {
  readonly services: Record<
    string,
    {
      readonly profiles?: string[]
      readonly image?: string
      readonly ports: string[]
      readonly environment?: Record<string, string>
      readonly volumes: string[]
      readonly read_only?: boolean
      readonly cap_drop?: string[]
    }
  >
}

test('compose starts the monitoring only when asked, for this machine only, with the shipped files', async () => {
  const text = await Bun.file(join(ROOT, 'compose.yaml')).text()
  // Compose asks for such a variable whatever profile is meant.
  expect(text.replace(/^\s*#.*$/gm, '')).not.toContain(':?')
  const { services } = Bun.YAML.parse(text) as Compose
  const monitoring = Object.entries(services).filter(([name]) => name !== 'quota-proxy')
  expect(monitoring.map(([name]) => name)).toEqual(['prometheus', 'alertmanager', 'grafana'])
  for (const [, service] of monitoring) {
    expect(service).toMatchObject({ profiles: ['monitoring'], read_only: true, cap_drop: ['ALL'] })
    expect(service.image).toMatch(/:v?\d+\.\d+\.\d+$/)
    for (const port of service.ports) expect(port).toStartWith('127.0.0.1:')
    const files = service.volumes
      .map((volume) => /(?:^|:-)\.\/(deploy[^:}]+)/.exec(volume)?.[1])
      .filter((file) => file !== undefined)
    expect(files.length).toBeGreaterThan(0)
    for (const file of files) await mustRun('test', '-e', join(ROOT, file))
  }
  const { scrape_configs } = await shipped<{
    scrape_configs: { static_configs: { targets: string[] }[] }[]
  }>('prometheus.yml')
  const port = services['quota-proxy']?.environment?.['METRICS_LISTEN']?.split(':')[1]
  expect(scrape_configs[0]?.static_configs[0]?.targets).toEqual([`quota-proxy:${port}`])
})

test('Grafana does not start without a password of its own', async () => {
  const compose = Bun.YAML.parse(await Bun.file(join(ROOT, 'compose.yaml')).text()) as {
    services: { grafana: { entrypoint: string[] } }
  }
  // Compose writes $ for $$; what it would start is not here.
  const [shell = '', flag = '', script = ''] = compose.services.grafana.entrypoint
  const started = script.replaceAll('$$', '$').replace('exec /run.sh', 'echo started')
  const run = async (password: string) => {
    const env = { PATH: process.env['PATH'] ?? '', GF_SECURITY_ADMIN_PASSWORD: password }
    const child = Bun.spawn([shell, flag, started], { env, stdout: 'pipe', stderr: 'pipe' })
    return [await child.exited, await child.stdout.text(), await child.stderr.text()]
  }
  expect(await run('0123456789ab')).toEqual([0, 'started\n', ''])
  for (const password of ['', 'admin', '0123456789a'])
    expect(await run(password)).toEqual([1, '', expect.stringContaining('GRAFANA_ADMIN_PASSWORD')])
})
