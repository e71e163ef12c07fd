/**
 * What a key may not do, of what its operator allows it. Pure; costs the key nothing. It fails closed: what cannot be
 * told of a call counts as not allowed. Of what was asked for, a refusal repeats the model alone, cut short.
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
  return { code: 'model_not_allowed', message: modelMessage(models, model) }
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
} as const satisfies Partial<Record<ErrorCode, string>>

function refuse(code: keyof typeof MESSAGES): Refusal {
  return { code, message: MESSAGES[code] }
}

/** As much of each name, and as many of them, as help whoever reads the message. */
const NAME_CHARS_MAX = 64
const NAMES_MAX = 8

/** The models are the key's own rules, which `GET /me` shows as well. */
function modelMessage(models: readonly string[], asked: string | null): string {
  const call = asked === null ? 'names no model' : `asks for ${named(asked)}`
  const more = models.length > NAMES_MAX ? ` and ${models.length - NAMES_MAX} more` : ''
  const allowed = models.slice(0, NAMES_MAX).map(named).join(', ') || 'none'
  return `The call ${call}; this key may use ${allowed}${more}. Name one of these in \`model\`, or ask the operator to add yours.`
}

function named(text: string): string {
  const cut = text.length > NAME_CHARS_MAX ? `${text.slice(0, NAME_CHARS_MAX)}...` : text
  return `"${cut.replace(/[\p{C}\p{Zl}\p{Zp}"\\]/gu, '?')}"`
}
