/**
 * Charges what the upstream of a WebSocket reports, while it lives. Each report is an entry of its own in the ledger, which
 * is written whatever is left: the work has been done. A limit that has nothing left for more of it ends the socket.
 */
import type { Outcome } from '../../domain/call.ts'
import { NO_UNITS } from '../../domain/limit.ts'
import type { Refusal } from '../../errors.ts'
import type { Clock } from '../../lib/clock.ts'
import { createMessageReading, type MessageReading } from '../../metering/messages.ts'
import { type Metering, NO_REPORT, reckon } from '../../metering/reckon.ts'
import type { Usage } from '../../metering/usage.ts'
import type { Claim, Ledger } from '../../quota/ledger.ts'
import type { OnUnknownUsage } from '../answer/unknown-usage.ts'
import { type Call, type ReportCall, reportOf } from '../call.ts'
import type { Foresee } from '../request/client-call.ts'
import type { Target } from '../resolve.ts'
import { SWITCHED } from '../send/websocket.ts'
import { POLICY, reasonOf, TRY_LATER } from './reason.ts'

export type SocketMeterOptions = {
  readonly ledger: Ledger
  readonly clock: Clock
  readonly report: ReportCall
  /** Told of a report that nobody understands on a socket that has reported nothing else. */
  readonly onUnknownUsage: OnUnknownUsage
}

/** Whose socket it is and where it leads. */
export type SocketParties = {
  readonly call: Call
  readonly key: Claim['key'] & { readonly id: string; readonly name: string }
  readonly upstream: string
  readonly metering: Metering
}

export type SocketMeter = {
  /** A message of the upstream, which passes whatever is in it. Never throws. */
  heard(message: string | Uint8Array): void
}

/** Null for an upstream whose sockets report nothing that is charged. */
export function socketMetering({ upstream, outbound }: Target): Metering | null {
  const settings = upstream?.settings.meter
  if (!upstream || settings?.kind !== 'tokens') return null
  const query = new URLSearchParams(outbound.target.split('?')[1])
  const estimate = { input: 0, output: 0 }
  return {
    settings,
    prices: upstream.prices,
    model: query.get('model'),
    hideUsage: false,
    estimate,
  }
}

/** Why a socket would have nothing left for what it reports; null if it has, or reports nothing. */
export async function socketRefusal(target: Target, foresee: Foresee): Promise<Refusal | null> {
  const metering = socketMetering(target)
  if (!metering) return null
  return await foresee({ ...target.units, tokens: 1, cost: metering.prices ? 1 : 0 })
}

/** `end` ends the socket; only the first time counts. */
export function createSocketMeter(
  options: SocketMeterOptions,
  parties: SocketParties,
  end: (code: number, reason: string) => void,
): SocketMeter {
  return new ReportMeter(options, parties, end)
}

class ReportMeter implements SocketMeter {
  readonly #options: SocketMeterOptions
  readonly #parties: SocketParties
  readonly #end: (code: number, reason: string) => void
  readonly #reading: MessageReading
  /** When the work began that is reported next. */
  #sinceMs = performance.now()

  constructor(
    options: SocketMeterOptions,
    parties: SocketParties,
    end: (code: number, reason: string) => void,
  ) {
    this.#options = options
    this.#parties = parties
    this.#end = end
    this.#reading = createMessageReading(parties.metering.model)
  }

  heard(message: string | Uint8Array): void {
    const usage = this.#reading.take(message)
    if (usage) void this.#charge(usage)
    const unknown = this.#reading.unknown()
    if (unknown) this.#options.onUnknownUsage(this.#parties.upstream, unknown)
  }

  async #charge(usage: Usage): Promise<void> {
    const { ledger, clock } = this.#options
    const { call, key, upstream, metering } = this.#parties
    // The work of another model, such as a transcription, has the price of that.
    const asked = { ...metering, model: usage.model }
    const report = { ...NO_REPORT, usage }
    const { charged, metered } = reckon(NOTHING_YET, REPORTED, asked, report)
    const nowMs = performance.now()
    const latencyMs = nowMs - this.#sinceMs
    this.#sinceMs = nowMs
    const claim = { key, at: clock(), upstream, requestId: call.requestId, units: charged }
    const end = { outcome: 'answered' satisfies Outcome, status: SWITCHED } as const
    const sums = { bytesIn: 0, bytesOut: 0 }
    const settlement = { ...end, charged, latencyMs: Math.round(latencyMs), ...sums, metered }
    const refusal = await ledger.record(claim, settlement)
    const parts = { reserved: charged, charged, latencyMs, upstreamMs: latencyMs }
    const { model, estimated } = metered
    const ended = { ...end, code: null, upstreamStatus: SWITCHED, model, estimated }
    const whose = { keyId: key.id, keyName: key.name, upstream }
    this.#options.report(reportOf(call, whose, { ...ended, ...parts, ...sums }))
    if (refusal) this.#stop(refusal)
  }

  #stop(refusal: Refusal): void {
    // What calls in flight hold may yet come back.
    if (refusal.code === 'quota_reserved') return
    const code = refusal.code === 'storage_unavailable' ? TRY_LATER : POLICY
    this.#end(code, reasonOf(refusal))
  }
}

/** A report of a socket is final, and stands by itself. */
const REPORTED = { status: SWITCHED, isWhole: true }

/** The socket itself was charged when it was opened. Not `NO_UNITS`, which stands for a charge that was given back. */
const NOTHING_YET = { ...NO_UNITS }
