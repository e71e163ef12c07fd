/** What it saves that a call to a TLS upstream may take a connection that is open already. */
import { measureRounds, type Subject, warmUp } from '../load/rounds.ts'
import { PATH } from '../load/traffic.ts'
import type { Sample } from '../load/wrk.ts'
import { ratios, type Spread, spread } from '../report/statistics.ts'
import { table, withSpread } from '../report/table.ts'
import type { Bench, Section } from '../section.ts'
import { startTlsUpstream } from '../servers/baseline.ts'
import { createCertificate } from '../servers/certificate.ts'
import { addUpstream, startQuotaProxy } from '../servers/quota-proxy.ts'

/** Enough to keep the proxy busy with handshakes. */
const FULL = 16
const LOW = 1

const REUSED = 'connections reused'
/** Where there is no such setting, it is not known here what happens to them. */
const UNCHANGED = 'a GET'
const FRESH = '`"resend_safe": false`'

type Started = {
  readonly subjects: readonly Subject[]
  /** What the API says against the setting; null if it takes it. */
  readonly refusal: string | null
}

type Row = Subject & { readonly low: readonly Sample[]; readonly full: readonly Sample[] }

export async function measureTls(bench: Bench): Promise<Section> {
  const { subjects, refusal } = await start(bench)
  await warmUp(bench, subjects)
  const { seconds } = bench.settings
  const low = await measureRounds(bench, subjects, { connections: LOW, seconds })
  const full = await measureRounds(bench, subjects, { connections: FULL, seconds })
  await subjects[0]?.server.stop()
  const rows = subjects.map((row, i) => ({ ...row, low: low[i] ?? [], full: full[i] ?? [] }))
  return report(rows, refusal)
}

async function start({ workspace, dataset }: Bench): Promise<Started> {
  const certificate = await createCertificate(workspace)
  const upstream = await startTlsUpstream(workspace, certificate)
  const { dataDir, keysFile } = await dataset({ keys: 10, calls: 0 })
  const env = { DATA_DIR: dataDir, NODE_EXTRA_CA_CERTS: certificate.certFile }
  const server = await startQuotaProxy(workspace, 'tls', upstream, env)
  const mount = (name: string, settings: object) =>
    addUpstream(server, dataDir, {
      ...{ name, mount: `/${name}`, base_url: `${upstream.url}/v1` },
      ...settings,
    })
  const subject = (name: string, path: string): Subject => {
    const traffic = { path: path + PATH.slice('/v1'.length), keysFile: keysFile(10) }
    return { name, server, traffic }
  }
  const problem = await mount('tls-reused', {})
  if (problem !== null) throw new Error(`the upstream was refused: ${problem}`)
  const refusal = await mount('tls-fresh', { resend_safe: false })
  const reused = subject(refusal === null ? REUSED : UNCHANGED, '/tls-reused')
  const subjects = refusal === null ? [reused, subject(FRESH, '/tls-fresh')] : [reused]
  return { subjects, refusal }
}

function report(rows: readonly Row[], refusal: string | null): Section {
  const reused = rows[0]
  if (!reused) throw new Error('no row was measured')
  const toReused = (values: readonly number[], own: readonly number[]) =>
    withSpread(spread(ratios(values, own)), 2)
  return {
    title: 'A TLS upstream',
    markdown: `A GET through a mount of an https upstream:

${table(
  ['', 'p50 ms', '× reused', 'CPU µs/call', '× reused'],
  rows.map(({ name, low, full }) => [
    name,
    withSpread(of(low, p50), 3),
    toReused(low.map(p50), reused.low.map(p50)),
    withSpread(of(full, cpu), 1),
    toReused(full.map(cpu), reused.full.map(cpu)),
  ]),
)}

Latency is that of ${LOW} connection, CPU time that of ${FULL}. ${explain(refusal)}`,
    verdicts: [],
    charts: {},
  }
}

function explain(refusal: string | null): string {
  if (refusal === null)
    return `Reused connections are the default; with
\`"resend_safe": false\` each GET makes a connection and a TLS handshake of its own.`
  return `The row with \`"resend_safe": false\` was
skipped: this version of the API refuses the setting.`
}

function p50({ p50Ms }: Sample): number {
  return p50Ms
}

function cpu({ cpuUs }: Sample): number {
  return cpuUs
}

function of(samples: readonly Sample[], pick: (sample: Sample) => number): Spread {
  return spread(samples.map(pick))
}
