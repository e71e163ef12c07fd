/** An upstream as the admin API shows it: everything but its secret. */
import { showBaseUrl } from '../../config/upstream.ts'
import type { MeterSettings, Upstream } from '../../domain/upstream.ts'
import { showInstant } from '../../http/fields/instant.ts'
import type { Upstream as Shown } from './model.ts'
import { showPrice } from './prices.ts'

/** Its members are written out by hand, so that a new column never appears in the API by itself. */
export function show(upstream: Upstream): Shown {
  const { name, baseUrl, mount, enabled, settings, prices, createdAt, updatedAt } = upstream
  return {
    name,
    base_url: showBaseUrl(baseUrl),
    mount,
    enabled,
    source: createdAt === null ? 'environment' : 'database',
    credential: showCredential(upstream),
    headers: { ...settings.headers },
    methods: settings.methods && [...settings.methods],
    paths: settings.paths && [...settings.paths],
    timeouts: {
      first_byte_ms: settings.firstByteMs,
      idle_ms: settings.idleMs,
      total_ms: settings.totalMs,
    },
    body_bytes_max: settings.bodyBytesMax,
    charge_on: settings.chargeOn,
    costs: settings.costs.map((rule) => ({ ...rule })),
    meter: showMeter(settings.meter),
    prices: (prices?.prices ?? []).map(showPrice),
    concurrency: settings.concurrency,
    retry_connect: settings.retryConnect,
    cors_origins: [...settings.corsOrigins],
    model_aliases: { ...settings.modelAliases },
    cookies: settings.cookies,
    forward_client: settings.forwardClient,
    resend_safe: settings.resendSafe ?? true,
    rewrite_urls: settings.rewriteUrls ?? false,
    deferred_work: settings.deferredWork ?? false,
    pass_locations: settings.passLocations ?? false,
    websocket_seconds_max: settings.websocketMs && settings.websocketMs / 1000,
    created_at: showInstant(createdAt),
    updated_at: showInstant(updatedAt),
  }
}

function showMeter(meter: MeterSettings): Shown['meter'] {
  if (meter.kind !== 'tokens') return { ...meter }
  return { kind: 'tokens', output_tokens_default: meter.outputTokensDefault }
}

/** Says whether there is a secret, and never which. */
function showCredential({ secret, settings: { credential } }: Upstream) {
  if (!credential) return null
  const { name, template } = credential
  return {
    ...(credential.in === 'header' ? { header: name } : { query: name }),
    template,
    set: secret !== null,
  }
}
