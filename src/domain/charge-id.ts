/** The public name of a call's ledger entry: what stands in `X-Quota-Charge-Id`. Pure. */

export const CHARGE_ID = /^call_[0-9]{1,15}$/

export function chargeId(seq: number): string {
  return `call_${seq}`
}

/** Null for a text that names no entry. */
export function seqOf(id: string): number | null {
  return CHARGE_ID.test(id) ? Number(id.slice('call_'.length)) : null
}
