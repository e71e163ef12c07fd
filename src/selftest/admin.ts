/** The admin of the self-test: issues keys, reads what they used, and revokes them, over the API as anybody would. */
import type { Target } from './child.ts'

export type Issued = { readonly key: string; readonly id: string }
export type Admin = ReturnType<typeof createAdmin>

export function createAdmin(target: Target, token: string) {
  async function ask(method: string, path: string, body?: unknown): Promise<unknown> {
    const response = await target.request(path, {
      method,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
    if (!response.ok) throw new Error(`${method} ${path} answered ${response.status}`)
    return await response.json()
  }

  return {
    issue: async (amount: number) =>
      (await ask('POST', '/admin/keys', { name: 'selftest', quota: amount })) as Issued,
    used: async (id: string) => ((await ask('GET', `/admin/keys/${id}`)) as { used: number }).used,
    revoke: (id: string) => ask('PATCH', `/admin/keys/${id}`, { enabled: false }),
  }
}
