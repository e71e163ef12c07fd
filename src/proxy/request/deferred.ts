/**
 * Work that is reported after its call is over. A key with a limit in tokens or money could have any amount of it done by
 * now and be charged later, or never: so it may not ask for it, unless the operator has opened the upstream for that.
 */
import type { Refusal } from '../../errors.ts'
import { type Deferral, deferralOf } from '../../metering/deferred.ts'
import type { Metering } from '../../metering/reckon.ts'
import { createDeferredReading, type DeferredReading } from '../answer/deferred.ts'
import { tapFor } from '../answer/taps.ts'
import type { BodyPlan } from './body/plan.ts'
import type { Caller, ClientCall } from './client-call.ts'

type Plan = Pick<Extract<BodyPlan, { ok: true }>, 'text' | 'metering'>

export type DeferredPlan =
  | {
      readonly ok: true
      readonly metering: Metering | null
      /** Null if there is no answer to read. */
      readonly deferred: DeferredReading | null
    }
  | { readonly ok: false; readonly refusal: Refusal }

/** Null for most calls, which have nothing to do with such work: they are metered as planned. */
export function planDeferred(
  clientCall: ClientCall,
  plan: Plan,
  key: Caller['key'],
): DeferredPlan | null {
  const { upstream, method, headers } = clientCall
  const isMetered = upstream?.settings.meter.kind === 'tokens'
  const asked = { method, path: clientCall.path ?? '', body: plan.text }
  const deferral = !isMetered ? null : isAsync(headers) ? 'asked' : deferralOf(asked)
  if (deferral === null) return null
  const metering = plan.metering ?? reading(clientCall, deferral)
  const counting = metering && tapFor(clientCall, key.scope, metering)
  const deferred = counting && createDeferredReading(deferral, counting)
  const planned = { ok: true, metering, deferred } as const
  if (deferral !== 'asked' || upstream?.settings.deferredWork) return planned
  const isLimited = key.limitedUnits.some((unit) => unit !== 'requests')
  return isLimited ? { ok: false, refusal: NOT_ALLOWED } : planned
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

const NOT_ALLOWED: Refusal = {
  code: 'deferred_work_not_allowed',
  message:
    'Your key has a limit in tokens or money, so it may not ask for work that is done and reported later. Send it without `background` and not as a batch, or ask the operator to open `deferred_work`.',
}
