/**
 * What happened of late, by key: the calls of the last minute, or the newest ones if there are
 * more than a look may cost. Each look asks anew, so a call that ended late is counted all the
 * same.
 */
import { type Api, Refused } from '../api.ts'
import type { Key } from '../keys/show.ts'
import type { Call } from '../reports/calls.ts'

/** What is looked at, and how many calls of it at most: ten small requests. */
const SPAN_MS = 60_000
const CALLS_MAX = 1_000
/** More keys than fit on a screen are not asked for. */
const KEYS_MAX = 50

export type KeyRow = {
  readonly id: string
  readonly name: string
  /** Of a key that is gone, nothing is known of its quota. */
  readonly deleted: boolean
  readonly calls: number
  readonly calls_per_second: number
  readonly failed: number
  readonly requests: number
  readonly tokens: number
  /** Micro-units of `currency`. */
  readonly cost: number
  readonly latency_ms: number
  readonly used: number | null
  readonly quota: number | null
}

export type Sample = {
  readonly at: string
  /** How much of the past was looked at. */
  readonly seconds: number
  readonly calls: number
  readonly calls_per_second: number
  /** Since the look before; null for the first, and where /metrics is not to be had. */
  readonly refused_per_second: number | null
  readonly currency: string
  /** The busiest first. */
  readonly keys: readonly KeyRow[]
}

export type Refusals = { readonly at: number; readonly count: number } | null

/** `at` is now. `before` are the refusals of the look before. */
export async function takeSample(
  api: Api,
  at: number,
  before: Refusals,
): Promise<{ sample: Sample; refusals: Refusals }> {
  const { calls, seconds } = await newest(api, at)
  const refusals = await countRefusals(api, at)
  const passedS = refusals && before ? (refusals.at - before.at) / 1000 : 0
  // A server that was started again counts from nothing.
  const refused = refusals && before ? Math.max(0, refusals.count - before.count) : 0
  const sample = {
    at: new Date(at).toISOString(),
    seconds,
    calls: calls.length,
    calls_per_second: perSecond(calls.length, seconds),
    refused_per_second: passedS > 0 ? perSecond(refused, passedS) : null,
    currency: await api.currency(),
    keys: await byKey(api, calls, seconds),
  }
  return { sample, refusals }
}

async function newest(api: Api, at: number): Promise<{ calls: Call[]; seconds: number }> {
  const since = at - SPAN_MS
  const calls: Call[] = []
  for await (const page of api.pages('GET /admin/calls', {}, CALLS_MAX)) {
    const recent = page.filter((call) => Date.parse(call.at) >= since)
    calls.push(...recent)
    if (recent.length < page.length) return { calls, seconds: SPAN_MS / 1000 }
  }
  if (calls.length < CALLS_MAX) return { calls, seconds: SPAN_MS / 1000 }
  const oldest = Math.min(...calls.map((call) => Date.parse(call.at)))
  return { calls, seconds: Math.max(1, at - oldest) / 1000 }
}

async function byKey(api: Api, calls: readonly Call[], seconds: number): Promise<KeyRow[]> {
  const groups = [...Map.groupBy(calls, ({ key_id }) => key_id)]
    .sort(([, a], [, b]) => b.length - a.length)
    .slice(0, KEYS_MAX)
  return await Promise.all(
    groups.map(async ([id, own]) => {
      const key = await keyOf(api, id)
      const sum = (of: (call: Call) => number) => own.reduce((total, call) => total + of(call), 0)
      return {
        id,
        name: key?.name ?? own[0]?.key_name ?? id,
        deleted: key === null,
        calls: own.length,
        calls_per_second: perSecond(own.length, seconds),
        failed: own.filter(({ outcome, status }) => outcome !== 'answered' || (status ?? 0) >= 500)
          .length,
        requests: sum(({ requests }) => requests.charged),
        tokens: sum(({ tokens }) => tokens.charged),
        cost: sum(({ cost }) => cost.charged),
        latency_ms: Math.round(sum(({ latency_ms }) => latency_ms) / own.length),
        used: key?.used ?? null,
        quota: key?.quota ?? null,
      }
    }),
  )
}

async function keyOf(api: Api, key: string): Promise<Key | null> {
  try {
    return await api.ask('GET /admin/keys/:key', { key })
  } catch (error) {
    if (error instanceof Refused) return null
    throw error
  }
}

/** Refused calls are in no ledger: only the metrics count them. */
async function countRefusals(api: Api, at: number): Promise<Refusals> {
  const { request } = await api.admin()
  const { status, body: text } = await request('GET', '/metrics')
  if (status !== 200 || typeof text !== 'string') return null
  let count = 0
  for (const [, labels = '', value] of text.matchAll(/^quota_proxy_calls_total\{(.*)\} (\S+)$/gm))
    if (labels.includes('outcome="refused"')) count += Number(value)
  return { at, count }
}

function perSecond(count: number, seconds: number): number {
  return Math.round((count / seconds) * 100) / 100
}
