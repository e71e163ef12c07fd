/**
 * Work that is reported after its call is over. A key with a limit in tokens or money could have any amount of it done by
 * now and be charged later, or never: so it may not ask for it, unless the operator has opened the upstream for that.
 */
import { NO_UNITS } from '../../domain/limit.ts'
import type { ErrorCode, Refusal } from '../../errors.ts'
import { type Deferral, deferralOf } from '../../metering/deferred.ts'
import type { Metering } from '../../metering/reckon.ts'
import { createDeferredReading, type DeferredReading } from '../answer/deferred.ts'
import { tapFor } from '../answer/taps.ts'
import type { BodyPlan } from './body.ts'
import type { Caller, ClientCall, Foresee } from './client-call.ts'

type Plan = Extract<BodyPlan, { ok: true }>

export type DeferredPlan =
  /** `deferred` is null for a call that has nothing to do with such work. */
  | (Plan & { readonly deferred: DeferredReading | null })
  | { readonly ok: false; readonly refusal: Refusal }

export async function planDeferred(
  clientCall: ClientCall,
  plan: Plan,
  { key, foresee }: Pick<Caller, 'key' | 'foresee'>,
): Promise<DeferredPlan> {
  const { upstream, method, headers } = clientCall
  const { body, metering } = plan
  const none = { ...plan, deferred: null }
  if (upstream?.settings.meter.kind !== 'tokens') return none
  const path = clientCall.path ?? ''
  const text = typeof body === 'string' ? body : null
  const deferral = isAsync(headers) ? 'asked' : deferralOf({ method, path, body: text })
  if (deferral === null) return none
  const isOpen = deferral !== 'asked' || upstream.settings.deferredWork === true
  if (!isOpen && (await limitsWork(foresee))) return { ok: false, refusal: NOT_ALLOWED }
  const read = metering ?? reading(clientCall, deferral)
  const counting = read && tapFor(clientCall, key.scope, read)
  const deferred = counting && createDeferredReading(deferral, counting)
  return { ...plan, metering: read, deferred }
}

/** Of DashScope. */
function isAsync(headers: ClientCall['headers']): boolean {
  return headers['x-dashscope-async']?.toLowerCase() === 'enable'
}

/** To read is free, and reports what was done. */
function reading({ upstream }: ClientCall, deferral: Deferral): Metering | null {
  const settings = upstream?.settings.meter
  if (deferral !== 'shown' || settings?.kind !== 'tokens') return null
  const estimate = { input: 0, output: 0 }
  const prices = upstream?.prices ?? null
  return { settings, prices, model: null, hideUsage: false, estimate }
}

/** Whether a limit of the key would refuse more work than any call can be. */
async function limitsWork(foresee: Foresee): Promise<boolean> {
  const most = Number.MAX_SAFE_INTEGER
  const refusal = await foresee({ ...NO_UNITS, tokens: most, cost: most })
  return refusal !== null && OF_LIMITS.includes(refusal.code)
}

const OF_LIMITS: readonly ErrorCode[] = [
  'cost_exceeds_quota',
  'insufficient_quota',
  'quota_reserved',
  'rate_limit_exceeded',
]

const NOT_ALLOWED: Refusal = {
  code: 'deferred_work_not_allowed',
  message:
    'Your key has a limit in tokens or money, so it may not ask for work that is done and reported later. Send it without `background` and not as a batch, or ask the operator to open `deferred_work`.',
}
