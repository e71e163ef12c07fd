import { describe, expect, test } from 'bun:test'
import { isTimeZone } from '../../src/domain/limit.ts'
import { periodAt } from '../../src/quota/window.ts'

describe('isTimeZone', () => {
  test.each([
    'UTC',
    'utc',
    'GMT',
    'Etc/GMT+5',
    'EST5EDT',
    'Europe/Paris',
    'europe/paris',
    'Europe/Kyiv',
    'Asia/Calcutta',
    'Asia/Kolkata',
    'America/Argentina/Buenos_Aires',
  ])('%p is a zone', (name) => {
    expect(isTimeZone(name)).toBe(true)
  })

  test.each([
    '',
    ' ',
    '+08:00',
    '-0330',
    '\u221208:00',
    '08:00',
    'Z',
    'GMT+8',
    'UTC+08:00',
    'PST',
    'local',
    'Mars/Olympus_Mons',
    'Etc/Unknown',
    ' Europe/Paris',
    'Europe/Paris ',
    'Europe/Paris\0',
    'T00:00[Europe/Paris]',
    '2020-01-01T00:00[Europe/Paris]',
    `Europe/${'x'.repeat(10_000)}`,
  ])('%p is not', (name) => {
    expect(isTimeZone(name)).toBe(false)
  })

  test('every zone that the runtime lists is one, and has days', () => {
    for (const name of Intl.supportedValuesOf('timeZone')) {
      expect(isTimeZone(name)).toBe(true)
      expect(periodAt('day', 1_700_000_000_000, name, 'monday').end).not.toBeNull()
    }
  })
})
