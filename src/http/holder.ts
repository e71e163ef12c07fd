/**
 * The guard of the routes on which a key holder asks about their own key. The key comes first, before anything is
 * validated, so that a stranger learns nothing but that a key is needed. It is recognised as the data path recognises it.
 */
import { Elysia } from 'elysia'
import { AppError, type Refusal } from '../errors.ts'

/** How the data path knows a holder; the same key, the same words. Rejects if the store fails. */
export type Authenticate = (
  headers: Headers,
) => Promise<
  | { readonly ok: true; readonly key: { readonly seq: number; readonly id: string } }
  | { readonly ok: false; readonly refusal: Refusal }
>

/** Every such route begins with it; what is refused there is told in the shape that clients of the data path parse. */
const PREFIX = '/me'

export function isForHolders(path: string): boolean {
  return path === PREFIX || path.startsWith(`${PREFIX}/`)
}

/** Gives the routes after it the `key` that has asked. */
export function holderGuard(authenticate: Authenticate) {
  return (
    new Elysia({ name: 'holder-guard' })
      // Unlike `resolve`, this comes before validation.
      .derive({ as: 'scoped' }, async ({ request, set }) => {
        const caller = await authenticate(request.headers)
        if (!caller.ok) {
          const { code, message, ...details } = caller.refusal
          throw new AppError(code, message, details)
        }
        set.headers['cache-control'] = 'no-store'
        return { key: caller.key }
      })
  )
}
