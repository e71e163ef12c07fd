/** What a key and an upstream allow, as far as no body is needed to know, and what a call counts for. Pure. */

import type { Scope } from '../../domain/key.ts'
import type { Refusal } from '../../errors.ts'
import { remember } from '../../lib/remember.ts'
import { matchesPath } from '../../lib/text/glob.ts'
import { modelsInPath, plainPath } from '../../metering/request/plain-path.ts'
import type { Caller, ClientCall } from './client-call.ts'
import { modelRefusal, scopeRefusal } from './scope.ts'

/** The key's own rules first: what it may not do, it need not know of the upstream. */
export function ruleRefusal(
  clientCall: ClientCall,
  { key, ip }: Caller,
  forSocket = false,
): Refusal | null {
  const { upstream, method } = clientCall
  const { scope } = key
  // Nobody can say what such a path means once the upstream has decoded it.
  if (clientCall.hidesStep && (upstream || scope?.paths)) return HIDDEN_STEP
  if (clientCall.path === null && isPathRead(clientCall, scope)) return UNREADABLE_PATH
  const path = clientCall.path ?? ''
  const refusal =
    scope && scopeRefusal(scope, { upstream: upstream?.name ?? null, method, path, ip })
  if (refusal) return refusal
  const models = scope?.models ? modelsInUrl(clientCall) : []
  const named = models.map((model) => modelRefusal(scope, model)).find(Boolean)
  if (named) return isRead(clientCall) ? NO_MODEL : named
  // What is said in a WebSocket is not read: a model that is not in the URL cannot be told.
  if (forSocket && scope?.models && models.length === 0) return modelRefusal(scope, null)
  if (!upstream) return null
  const { methods, paths } = upstream.settings
  if (methods && !sameMethods(method).some((one) => methods.includes(one))) return METHOD_NOT_TAKEN
  if (paths && !paths.some((glob) => matchesPath(glob, path))) return PATH_NOT_TAKEN
  return null
}

/** Whether any rule of the key or of the upstream looks at the path. */
function isPathRead({ upstream }: ClientCall, scope: Scope | null): boolean {
  const { paths, costs = [] } = upstream?.settings ?? {}
  return Boolean(scope?.paths || scope?.models || paths) || costs.length > 0
}

/** Who asks about a model that the key may not use is told what it would be told of one that is not there. */
function isRead({ method, path }: ClientCall): boolean {
  return (method === 'GET' || method === 'HEAD') && /\/models\//i.test(path ?? '')
}

/** The model that the URL was refused for; null if that is not why. */
export function refusedInUrl(
  clientCall: ClientCall,
  scope: Scope | null,
  { code }: Refusal,
): string | null {
  if (code !== 'model_not_allowed') return null
  return modelsInUrl(clientCall).find((model) => modelRefusal(scope, model)) ?? null
}

/** OpenAI's `?model=`, Azure's `?deployment=`, and what the path names. */
function modelsInUrl({ search, path }: ClientCall): string[] {
  const query = new URLSearchParams(search)
  return [...query.getAll('model'), ...query.getAll('deployment'), ...modelsInPath(path ?? '')]
}

/** How many requests it counts for: by the plainest spelling of its path, and in any letter case. */
export function requestsOf({ upstream, method, path }: ClientCall): number {
  const costs = upstream?.settings.costs ?? []
  if (costs.length === 0) return 1
  const plain = plainPath(path ?? '').toLowerCase()
  const rule = costs.find(
    (one) =>
      (one.method === undefined || sameMethods(method).includes(one.method)) &&
      matchesPath(plainGlob(one.path), plain),
  )
  return rule?.requests ?? 1
}

/** Operators write few rules. */
const GLOBS_MAX = 1000

/** A rule for `/a/` is one for `/a`. */
const plainGlob = remember((glob) => glob.replace(/(?!^)\/+$/, '').toLowerCase(), GLOBS_MAX)

/** RFC 9110 section 9.3.2: HEAD asks for what GET would be answered. */
function sameMethods(method: string): string[] {
  return method === 'HEAD' ? ['HEAD', 'GET'] : [method]
}

const NO_MODEL: Refusal = {
  code: 'not_found',
  message: 'There is no such model for this key. GET /models lists those that there are.',
}

const HIDDEN_STEP: Refusal = {
  code: 'path_not_allowed',
  message: 'The path hides a step upwards.',
}

const UNREADABLE_PATH: Refusal = {
  code: 'path_not_allowed',
  message: 'The path must be UTF-8 when it is decoded, without control characters.',
}

const METHOD_NOT_TAKEN: Refusal = {
  code: 'target_not_allowed',
  message: 'The operator has not opened this method of the upstream.',
}

const PATH_NOT_TAKEN: Refusal = {
  code: 'path_not_allowed',
  message: 'The operator has not opened this path of the upstream.',
}
