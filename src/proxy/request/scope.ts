/**
 * What a key may not do, of what its operator allows it. Pure; costs the key nothing. It fails closed: what cannot be
 * told of a call counts as not allowed, and a refusal never repeats what was asked for.
 */

import type { Scope } from '../../domain/key.ts'
import type { ErrorCode, Refusal } from '../../errors.ts'
import { isWithin } from '../../lib/network.ts'
import { matchesName, matchesPath } from '../../lib/text/glob.ts'

export type ScopedCall = {
  /** Null for an endpoint of an envelope that is no upstream's. */
  readonly upstream: string | null
  readonly method: string
  /** Decoded: after the base URL of the upstream, or the whole path of an endpoint that is no upstream's. */
  readonly path: string
  readonly ip: string
}

/** The address first: who calls from elsewhere learns nothing of what the key is for. */
export function scopeRefusal(scope: Scope | null, call: ScopedCall): Refusal | null {
  const { upstreams, methods, paths, ipAllow } = scope ?? {}
  if (ipAllow && !isWithin(call.ip, ipAllow)) return refuse('ip_not_allowed')
  if (upstreams && (call.upstream === null || !upstreams.includes(call.upstream)))
    return refuse('target_not_allowed')
  if (methods && !allowsMethod(methods, call.method)) return refuse('method_not_allowed_for_key')
  if (paths && !paths.some((glob) => matchesPath(glob, call.path)))
    return refuse('path_not_allowed')
  return null
}

/**
 * For every call that has a body or names a model, whatever type the body claims to have: many servers read JSON
 * under any. `model` is null if none could be read. A call without either, such as the list of models, is not asked.
 */
export function modelRefusal(scope: Scope | null, model: string | null): Refusal | null {
  const models = scope?.models
  if (!models || (model !== null && isModelAllowed(models, model))) return null
  return refuse('model_not_allowed')
}

/** Google writes `models/gemini-2.5-pro` for what others call `gemini-2.5-pro`. */
export function isModelAllowed(models: readonly string[], name: string): boolean {
  const bare = name.replace(/^(?:tuned)?models\//i, '')
  return models.some((glob) => matchesName(glob, name) || matchesName(glob, bare))
}

/** RFC 9110 section 9.3.2: HEAD is GET without the content of its answer. */
function allowsMethod(methods: readonly string[], method: string): boolean {
  return methods.includes(method) || (method === 'HEAD' && methods.includes('GET'))
}

const MESSAGES = {
  ip_not_allowed:
    'This key may not be used from this address. Call from a network that it is meant for, or ask the operator to add yours.',
  target_not_allowed:
    'This key may not call this target. Call an upstream that it is meant for, or ask the operator to add this one.',
  method_not_allowed_for_key:
    'This key may not use this method. Use one that it is meant for, or ask the operator to add it.',
  path_not_allowed:
    'This key may not call this path. Call one that it is meant for, or ask the operator to add it.',
  model_not_allowed:
    'This key may only make calls that name a model that it is meant for. Name one in `model`, or ask the operator to add yours.',
} as const satisfies Partial<Record<ErrorCode, string>>

function refuse(code: keyof typeof MESSAGES): Refusal {
  return { code, message: MESSAGES[code] }
}
