/**
 * Whether an error answer says that the operator's account at the upstream is empty, blocked or at its limit, where the status
 * alone does not say it. Reads names of errors, which no request can write, and never what is told in words. Pure.
 */

import { own } from '../../../lib/json/object.ts'

/** What most say with 429 or 402, and these with 400 or 403. */
const STATUSES: readonly number[] = [400, 403]

/** In lower case. */
const NAMES = new Set([
  // OpenAI (platform.openai.com/docs/guides/error-codes), and who speaks like it.
  ...['insufficient_quota', 'billing_hard_limit_reached', 'billing_not_active'],
  // Anthropic (docs.anthropic.com/en/api/errors).
  'billing_error',
  // Alibaba's Model Studio (help.aliyun.com/zh/model-studio/error-code).
  ...['arrearage', 'allocationquota.freetieronly'],
  // Moonshot (platform.moonshot.ai/docs/api/chat).
  'exceeded_current_quota_error',
  // one-api and new-api, which are upstreams of many.
  ...['insufficient_user_quota', 'pre_consume_token_quota_failed'],
  // Google's status of 429, which some relays answer with 403.
  'resource_exhausted',
])

/** Anthropic gives it no name of its own; no request stands before these words. */
const NO_CREDIT = 'Your credit balance is too low'

/** `text` is the beginning of the body, in which errors are whole; empty if it cannot be read. */
export function lacksQuota(status: number, text: string): boolean {
  if (!mayLackQuota(status) || text.length > CHARS_MAX) return false
  let document: unknown
  try {
    document = JSON.parse(text)
  } catch {
    return false
  }
  const error = own(document, 'error')
  const message = own(error, 'message')
  if (typeof message === 'string' && message.startsWith(NO_CREDIT)) return true
  return [own(error, 'code'), own(error, 'type'), own(error, 'status'), own(document, 'code')].some(
    (name) => typeof name === 'string' && NAMES.has(name.toLowerCase()),
  )
}

export function mayLackQuota(status: number): boolean {
  return STATUSES.includes(status)
}

/** No error is longer. */
const CHARS_MAX = 64 * 1024
