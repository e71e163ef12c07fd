/**
 * Real Prometheus and Alertmanager, in processes of their own, with the configuration that is shipped but for where
 * things are and how long they take. Where they are not installed the tests are skipped, but never in CI.
 */
import { test } from 'bun:test'
import { join, resolve } from 'node:path'
import type { Subprocess } from 'bun'
import { runCommand } from './command.ts'
import { closeWithRun, temporaryDirectory } from './server.ts'
import { freePort } from './wire.ts'

export const MONITORING = resolve(import.meta.dir, '../../deploy/monitoring')

/** Debian's packages are called prometheus, with promtool in it, and prometheus-alertmanager, with amtool. */
const PROGRAMS = ['prometheus', 'promtool', 'prometheus-alertmanager', 'amtool']
const missing = PROGRAMS.filter((name) => Bun.which(name) === null)

/** Several programs start and alerts take their time; nothing is measured by this. */
const TEST_MS_MAX = 60_000

/** Like `test`; skipped with a reason where a program is missing. */
export function monitoringTest(name: string, run: () => Promise<void>): void {
  if (missing.length === 0 || process.env['CI']) test(name, run, TEST_MS_MAX)
  else test.skip(`${name} (not installed here: ${missing.join(', ')})`, run)
}

/** Resolves with what the program has printed if it is content, and throws all that it has said if not. */
export async function mustRun(...command: string[]): Promise<string> {
  const { code, out, err } = await runCommand(command)
  if (code !== 0) throw new Error(`${command.join(' ')}:\n${out}${err}`)
  return out
}

export type Rule = {
  readonly alert: string
  readonly expr: string
  readonly for?: string
  readonly labels: Readonly<Record<string, string>>
  readonly annotations: Readonly<Record<string, string>>
}
export type Rules = { readonly groups: { readonly name: string; readonly rules: Rule[] }[] }

type Target = { static_configs: { targets: string[] }[] }
type PrometheusConfig = {
  global: object
  alerting: { alertmanagers: Target[] }
  scrape_configs: (Target & { job_name: string })[]
}
export type Receiver = { name: string; webhook_configs: { url: string }[] }
type Route = { routes?: Route[] }
type AlertmanagerConfig = { route: Route; receivers: Receiver[] }

export async function shipped<T>(name: string): Promise<T> {
  return Bun.YAML.parse(await Bun.file(join(MONITORING, name)).text()) as T
}

export type Alert = {
  readonly labels: Readonly<Record<string, string>>
  readonly annotations: Readonly<Record<string, string>>
  readonly state: 'pending' | 'firing'
}
export type Sample = {
  readonly metric: Readonly<Record<string, string>>
  readonly value: readonly [number, string]
}

export type Prometheus = {
  readonly url: string
  /** Throws what Prometheus has against the expression. */
  query(expression: string): Promise<Sample[]>
  /** Those that are pending or firing. */
  alerts(): Promise<Alert[]>
}

/** `targets` are `host:port`; what is scraped there, and how often rules are looked at, takes a second. */
export async function startPrometheus(
  targets: readonly string[],
  rules: Rules,
  alertmanager = '127.0.0.1:9',
): Promise<Prometheus> {
  const config = await shipped<PrometheusConfig>('prometheus.yml')
  config.global = { scrape_interval: '1s', scrape_timeout: '1s', evaluation_interval: '1s' }
  for (const { static_configs } of config.alerting.alertmanagers)
    static_configs[0] = { targets: [alertmanager] }
  for (const { static_configs } of config.scrape_configs)
    static_configs[0] = { targets: [...targets] }

  const directory = temporaryDirectory()
  // JSON is YAML.
  await Bun.write(join(directory, 'prometheus.yml'), JSON.stringify(config))
  await Bun.write(join(directory, 'rules.yml'), JSON.stringify(rules))
  const address = await start('prometheus', (listen) => [
    `--config.file=${directory}/prometheus.yml`,
    `--storage.tsdb.path=${directory}/data`,
    `--web.listen-address=${listen}`,
    '--log.level=warn',
  ])
  const url = `http://${address}`
  return {
    url,
    async query(expression) {
      const body = new URLSearchParams({ query: expression })
      const { result } = await ask<{ result: Sample[] }>(`${url}/api/v1/query`, { body })
      return result
    },
    async alerts() {
      return (await ask<{ alerts: Alert[] }>(`${url}/api/v1/alerts`)).alerts
    },
  }
}

/** Sends to `webhook` what it would send to the receivers of the shipped configuration. Resolves with its `host:port`. */
export async function startAlertmanager(webhook: string): Promise<string> {
  const config = await shipped<AlertmanagerConfig>('alertmanager.yml')
  hurry(config.route)
  for (const { name, webhook_configs } of config.receivers)
    for (const one of webhook_configs) one.url = `${webhook}/${name}`

  const directory = temporaryDirectory()
  await Bun.write(join(directory, 'alertmanager.yml'), JSON.stringify(config))
  return start('prometheus-alertmanager', (listen) => [
    `--config.file=${directory}/alertmanager.yml`,
    `--storage.path=${directory}/data`,
    `--web.listen-address=${listen}`,
    '--cluster.listen-address=',
    '--log.level=warn',
  ])
}

function hurry(route: Route): void {
  Object.assign(route, { group_wait: '1s', group_interval: '1s', repeat_interval: '1h' })
  for (const inner of route.routes ?? []) hurry(inner)
}

async function ask<T>(url: string, { body }: { body?: URLSearchParams } = {}): Promise<T> {
  const response = await fetch(url, body ? { method: 'POST', body } : {})
  const answer = (await response.json()) as { status: string; error?: string; data: T }
  if (answer.status !== 'success') throw new Error(`${body?.get('query')}: ${answer.error}`)
  return answer.data
}

const running = new Set<Subprocess>()
closeWithRun(async () => {
  for (const child of running) child.kill('SIGKILL')
  await Promise.all([...running].map((child) => child.exited))
})

async function start(program: string, args: (listen: string) => string[]): Promise<string> {
  const listen = `127.0.0.1:${await freePort()}`
  const child = Bun.spawn([program, ...args(listen)], {
    cwd: temporaryDirectory(),
    env: { PATH: process.env['PATH'] ?? '' },
    stdout: 'ignore',
    stderr: 'pipe',
  })
  running.add(child)
  void child.exited.then(() => running.delete(child))
  const said = child.stderr.text()
  while (child.exitCode === null) {
    const response = await fetch(`http://${listen}/-/ready`).catch(() => null)
    if (response?.ok) return listen
    await Bun.sleep(50)
  }
  throw new Error(`${program} did not start:\n${await said}`)
}
