/** Lines for people, as wide as the terminal at most: notes, one thing with its members, and what was examined. */
import { type Cell, shown } from './table.ts'

const GAP = '  '

/** A text that goes on in further lines, under `indent` blanks. No word is broken. Without a width it stays one line. */
export function wrapped(text: string, width: number | undefined, indent = 0): string {
  const room = width === undefined ? 0 : width - indent
  if (room <= 0) return text
  return Bun.wrapAnsi(text, room, { hard: false }).replaceAll('\n', `\n${' '.repeat(indent)}`)
}

/** The line under tables that were too wide; empty if they were not. */
export function leftOutNote(heads: Iterable<string>, width: number | undefined): string {
  const names = [...heads].join(', ')
  if (names === '') return ''
  return `${wrapped(`Left out for want of room: ${names}. --json has everything.`, width)}\n`
}

/** A list has a line for each entry. */
type Value = Cell | readonly string[]

/** One thing, a member a line. */
export function renderMembers(
  members: readonly (readonly [string, Value])[],
  width: number | undefined,
): string {
  const names = Math.max(...members.map(([name]) => name.length))
  const indent = names + GAP.length
  return members
    .map(([name, value]) => {
      const entries = !isList(value) ? [value] : value.length > 0 ? value : [null]
      const lines = entries.map((one) => wrapped(shown(one), width, indent))
      return `${name.padEnd(names)}${GAP}${lines.join(`\n${' '.repeat(indent)}`)}\n`
    })
    .join('')
}

function isList(value: Value): value is readonly string[] {
  return Array.isArray(value)
}

export type Finding = {
  readonly check: string
  readonly ok: boolean
  /** How many are not well; nothing is wrong with what was examined if it is well all the same. */
  readonly count?: number | undefined
  readonly detail: string
}

/** What was examined, a line each. */
export function renderFindings(findings: readonly Finding[], width: number | undefined): string {
  const checks = Math.max(...findings.map(({ check }) => check.length))
  return findings
    .map(({ check, ok, count: found = 0, detail }) => {
      const head = `${ok ? (found > 0 ? 'warn' : 'ok  ') : 'FAIL'}${GAP}${check.padEnd(checks)}${GAP}`
      return `${head}${wrapped(detail, width, head.length)}\n`
    })
    .join('')
}
