/** The upstream that three settings make, for the common case of one: the API shows it and cannot change it. Pure. */
import type { Config } from '../../config/options.ts'
import type { Upstream } from '../../domain/upstream.ts'
import { defaultPlacement } from './credential.ts'
import { defaultSettings } from './settings.ts'

const ENVIRONMENT_NAME = 'default'

/** Null without UPSTREAM_BASE_URL. */
export function environmentUpstream(
  config: Pick<Config, 'upstreamBaseUrl' | 'upstreamApiKey' | 'upstreamMount'>,
): Upstream | null {
  if (config.upstreamBaseUrl === undefined) return null
  const baseUrl = new URL(config.upstreamBaseUrl)
  const secret = config.upstreamApiKey ?? null
  return {
    name: ENVIRONMENT_NAME,
    baseUrl,
    mount: config.upstreamMount,
    enabled: true,
    secret,
    settings: defaultSettings(secret === null ? null : defaultPlacement(baseUrl)),
    prices: null,
    createdAt: null,
    updatedAt: null,
  }
}
