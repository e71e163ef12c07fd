/** Money in answers: whole numbers, and the currency that they are parts of. */
import { t } from 'elysia'
import { CURRENCY } from '../../domain/limit.ts'

const MEANING = 'micro-units of `currency`: 1500000 is 1.50.'
export const MICROS = `In ${MEANING}`
/** Of what is in the unit of a limit. */
export const LIMIT_UNITS = `In the unit of the limit; for \`cost\` in ${MEANING}`

export const currency = t.String({
  pattern: CURRENCY.source,
  description:
    'The currency of all money here, as ISO 4217 writes it: the setting CURRENCY. Amounts are in its micro-units: 1500000 is 1.50.',
  examples: ['USD'],
})
