/**
 * Guards the routes on which key holders ask about their own key. It checks the key before anything
 * is validated, so that a stranger learns only that a key is needed, and recognises it as the data
 * path does.
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

/**
 * Begins the path of every such route. Refusals there have the shape that clients of the data path
 * parse.
 */
const PREFIX = '/me'

export function isForHolders(path: string): boolean {
  return path === PREFIX || path.startsWith(`${PREFIX}/`)
}

/** Hands the key that asks to the routes after it. */
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
