/** What the settings of backups must look like. */
import { Cron } from 'croner'
import { invalid, valid } from '../lib/text/parsed.ts'
import type { Kind } from './parse.ts'

/** Minutes are fine enough for backups. croner itself also takes fields for seconds and years. */
const CRON_FIELDS = 5

export const schedule: Kind<string> = {
  name: 'cron expression of five fields',
  parse: (text) => {
    const problem = invalid(
      'must be a cron expression of five fields that comes true some day, such as 17 3 * * * for every night at 3:17.',
    )
    if (text.split(/\s+/).length !== CRON_FIELDS && !/^@\w+$/.test(text)) return problem
    try {
      return new Cron(text, { timezone: 'UTC', paused: true }).nextRun() ? valid(text) : problem
    } catch {
      return problem
    }
  },
}

/**
 * Bech32 without mixed case (age-encryption.org/v1, section 1.3). The library checks the rest when
 * the key is used.
 */
const RECIPIENT = /^age1[02-9ac-hj-np-z]{58}$/

export const ageRecipients: Kind<readonly string[]> = {
  name: 'list of public keys of age, with commas',
  parse: (text) => {
    const list = text === '' ? [] : text.split(',').map((entry) => entry.trim())
    const wrong = list.findIndex((entry) => !RECIPIENT.test(entry)) + 1
    return wrong === 0
      ? valid(list)
      : invalid(
          `cannot be read: entry ${wrong} must be a public key of age, which begins with age1. A private one begins with AGE-SECRET-KEY-1 and does not belong here.`,
        )
  },
}

/** The value has no slash at its end. */
export const s3Url: Kind<string> = {
  name: '`s3://bucket/prefix`',
  parse: (text) =>
    /^s3:\/\/[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](?:\/[^?#]*)?$/.test(text)
      ? valid(text.replace(/\/+$/, ''))
      : invalid('must be s3:// and a bucket, such as s3://bucket or s3://bucket/prefix.'),
}
