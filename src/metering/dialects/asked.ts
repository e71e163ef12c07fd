/**
 * Whom to ask what an answer reports: those who look for one of the members that it has. Most answers concern one dialect of a
 * dozen. Pure.
 */
import { isObject } from '../../lib/json/object.ts'
import { FAILURE_MEMBERS } from './failure.ts'
import { DIALECTS } from './table.ts'
import { UNKNOWN_MEMBERS } from './unknown.ts'

/** Bits beside those of the dialects, which go by their places in the table. */
export const FAILURE = 1 << 30
export const REPORT = 1 << 29

const BY_MEMBER = new Map<string, number>()
const BY_USAGE_MEMBER = new Map<string, number>()
/** Those who read any object of that name. */
let byUsage = REPORT

const enter = (map: Map<string, number>, names: readonly string[], bit: number) => {
  for (const name of names) map.set(name, (map.get(name) ?? 0) | bit)
}
for (const [index, { members, usageMembers }] of DIALECTS.entries()) {
  enter(BY_MEMBER, members, 1 << index)
  if (usageMembers) enter(BY_USAGE_MEMBER, usageMembers, 1 << index)
  else if (members.includes('usage')) byUsage |= 1 << index
}
enter(BY_MEMBER, FAILURE_MEMBERS, FAILURE)
enter(BY_MEMBER, UNKNOWN_MEMBERS, REPORT)

/** As bits of a number. */
export function askedBy(answer: Record<string, unknown>): number {
  // An event, of which some go by its type whatever its usage has.
  const isEvent = Object.hasOwn(answer, 'type')
  let asked = 0
  for (const name in answer) {
    const usage = name === 'usage' && !isEvent ? answer[name] : undefined
    asked |= isObject(usage) ? askedByUsage(usage) : (BY_MEMBER.get(name) ?? 0)
  }
  return asked
}

function askedByUsage(usage: Record<string, unknown>): number {
  let asked = byUsage
  for (const name in usage) asked |= BY_USAGE_MEMBER.get(name) ?? 0
  return asked
}
