/** What the operator does in a soak, over the admin API: issues keys, is at work, and compares the books. */
import { writeFileSync } from 'node:fs'
import type { Holder } from './calls.ts'

/** Enough for calls of keys to meet each other; one of them runs out on the way. */
const HOLDERS = 20
const SMALL_QUOTA = 500

export const TOKEN = 'b7c1f0e2a9d84365soak'

export type Admin = ReturnType<typeof adminOf>

export function adminOf(url: string) {
  return async (method: string, path: string, body?: unknown): Promise<Record<string, unknown>> => {
    const response = await fetch(url + path, {
      method,
      headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
    const text = await response.text()
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`)
    return text === '' ? {} : JSON.parse(text)
  }
}

export async function issue(admin: Admin): Promise<Holder[]> {
  const holders: Holder[] = []
  for (let i = 0; i < HOLDERS; i++) {
    const quota = i === 0 ? SMALL_QUOTA : 1_000_000_000
    const made = await admin('POST', '/admin/keys', { name: `soak-${i}`, quota })
    holders.push({ id: String(made['id']), key: String(made['key']), charged: 0, unknown: 0 })
  }
  return holders
}

/** What an operator does in a day, and a changed setting. */
export async function operate(url: string, admin: Admin, settings: string): Promise<void> {
  writeFileSync(settings, `LOG_LEVEL=${Math.random() < 0.5 ? 'warn' : 'error'}\n`)
  const { id } = await admin('POST', '/admin/keys', { name: 'passing', quota: 1 })
  await admin('PATCH', `/admin/keys/${id}`, { quota: 2 })
  await admin('GET', '/admin/usage')
  await admin('GET', '/admin/calls?limit=100')
  await admin('DELETE', `/admin/keys/${id}`)
  const headers = { authorization: `Bearer ${TOKEN}` }
  await (await fetch(`${url}/metrics`, { headers })).text()
}

export async function examine(admin: Admin): Promise<void> {
  const { ok, findings } = await admin('GET', '/admin/doctor')
  if (!ok) throw new Error(JSON.stringify(findings))
}

/** Keys whose use is not what their clients were told, beyond the calls of which they do not know. */
export async function compare(holders: readonly Holder[], admin: Admin) {
  const disagreeing: string[] = []
  for (const { id, charged, unknown } of holders) {
    const used = Number((await admin('GET', `/admin/keys/${id}`))['used'])
    if (used < charged || used > charged + unknown)
      disagreeing.push(`${id}: ${used} used, ${charged} told, ${unknown} unknown`)
  }
  return disagreeing
}
