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
import { type BodyPlan, planBody } from './body.ts'
import type { Caller, ClientCall, Foresee } from './client-call.ts'

type Plan = Extract<BodyPlan, { ok: true }>

export type WorkPlan =
  /** `deferred` is null for a call that has nothing to do with such work. */
  | (Plan & { readonly deferred: DeferredReading | null })
  | { readonly ok: false; readonly refusal: Refusal }

/** What the call asks for: its body, how it is metered, and whether its work is reported later. */
export async function planWork(
  clientCall: ClientCall,
  caller: Pick<Caller, 'key' | 'foresee'>,
): Promise<WorkPlan> {
  const plan = await planBody(clientCall, caller.key, caller.foresee)
  return plan.ok ? planDeferred(clientCall, plan, caller) : plan
}

/** At once for most calls, which have nothing to do with such work. */
function planDeferred(
  clientCall: ClientCall,
  plan: Plan,
  { key, foresee }: Pick<Caller, 'key' | 'foresee'>,
): WorkPlan | Promise<WorkPlan> {
  const { upstream, method, headers } = clientCall
  const body = typeof plan.body === 'string' ? plan.body : null
  const isMetered = upstream?.settings.meter.kind === 'tokens'
  const asked = { method, path: clientCall.path ?? '', body }
  const deferral = !isMetered ? null : isAsync(headers) ? 'asked' : deferralOf(asked)
  if (deferral === null) return { ...plan, deferred: null }
  const metering = plan.metering ?? reading(clientCall, deferral)
  const counting = metering && tapFor(clientCall, key.scope, metering)
  const deferred = counting && createDeferredReading(deferral, counting)
  const planned = { ...plan, metering, deferred }
  if (deferral !== 'asked' || upstream?.settings.deferredWork) return planned
  return limitsWork(foresee).then((isLimited) =>
    isLimited ? { ok: false, refusal: NOT_ALLOWED } : planned,
  )
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
