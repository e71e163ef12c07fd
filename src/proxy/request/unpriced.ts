/**
 * Refuses work that nobody could charge: of a model without a price, for a key whose limit is in money. Holders choose the
 * model, so that a limit that such a call passes by would be none. Pure; costs the key nothing.
 */
import type { Credential } from '../../domain/key.ts'
import type { Refusal } from '../../errors.ts'
import { arePriced } from '../../metering/price/choice.ts'
import { askedOf, type Metering } from '../../metering/reckon.ts'

/** `metering` is null for a call that is not metered. */
export function unpricedRefusal(
  metering: Metering | null,
  { limitedUnits }: Pick<Credential, 'limitedUnits'>,
): Refusal | null {
  if (!limitedUnits.includes('cost')) return null
  if (metering?.settings.kind !== 'tokens' || asksNothing(metering)) return null
  return arePriced(metering.prices?.prices ?? [], askedOf(metering)) ? null : NOT_PRICED
}

/** Such as a call that deletes something, or counts tokens. */
function asksNothing({ estimate }: Metering): boolean {
  return estimate !== null && estimate.input + estimate.output === 0
}

const NOT_PRICED: Refusal = {
  code: 'model_not_priced',
  message:
    'This upstream has no price for the model, and your key has a limit in money. Name a model that has one in `model`, or ask the operator to enter a price.',
}
