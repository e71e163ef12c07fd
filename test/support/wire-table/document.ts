/** Writes docs/wire.md from what the rows have done. */
import { BASICS, type Case, OK, request, USUAL } from './case.ts'
import type { Difference } from './differences.ts'
import type { Reason } from './reason.ts'
import { REASONS } from './reasons.ts'

export type Row = {
  readonly row: Case
  readonly differences: readonly (Difference & { readonly reason: Reason })[]
  readonly charged: number
  /** Whether anything has reached the upstream. */
  readonly isSent: boolean
}

/** Longer bytes are of no use to a reader. */
const SHOWN_CHARS_MAX = 150

export function renderDocument(rows: readonly Row[]): string {
  const groups = Map.groupBy(rows, ({ row }) => row.group)
  const tables = [...groups].flatMap(([group, own]) => [
    `## ${group}`,
    '',
    '| What is sent | Reaches the upstream | Reaches the client | Charged |',
    '|---|---|---|---|',
    ...own.map(renderRow),
    '',
  ])
  return [
    ...HEAD,
    ...REASONS.filter(({ isEverywhere }) => isEverywhere).map(
      ({ name, why, source }) => `- **${name}**: ${why} (${source})`,
    ),
    '',
    ...tables,
    '## Reasons',
    '',
    'No byte differs for any other reason: the test fails on a difference without one, and on a reason without a difference.',
    '',
    '| Reason | Why | Source |',
    '|---|---|---|',
    ...REASONS.filter(({ isEverywhere }) => !isEverywhere)
      .toSorted((a, b) => a.name.localeCompare(b.name, 'en'))
      .map(({ name, why, source }) => `| ${name} | ${why} | ${source} |`),
    '',
  ].join('\n')
}

const HEAD = [
  '# Byte for byte',
  '',
  'What changes on the way through quota-proxy, and why. `test/proxy/wire-table.test.ts` wrote this page: it sends the bytes of each',
  'row on a raw socket to a raw upstream, once directly and once through the proxy (an upstream with a mount and without a',
  'credential), and compares what arrives on both sides, line by line. It fails when this page is not what it sees;',
  '`WIRE_TABLE=write bun test test/proxy/wire-table.test.ts` writes it anew.',
  '',
  'The bytes are the same both ways, the key included. “Same” means that nothing differs but what differs in every row. Left out are',
  `the fields that every request has (${BASICS.map((line) => `\`${line.replace('{key}', '…')}\``).join(', ')}),`,
  `those of usual answers (${USUAL.map((line) => `\`${line}\``).join(', ')}), and whole messages that are no more than usual.`,
  '`⏎` is CRLF, `\\x00` a byte. Not compared is what differs with each run (ports, instants, ids, where chunks are cut, how much of what was',
  'cut off has passed), and whether a connection stays open behind an answer.',
  'Words in brackets name a [reason](#reasons). What was charged is in requests; [request-path.md](request-path.md) has the rules.',
  '',
  'In every row:',
  '',
]

function renderRow({ row, differences, charged, isSent }: Row): string {
  const shown = differences.filter(({ reason }) => !reason.isEverywhere)
  const cell = (side: Difference['side']) => {
    const own = shown.filter((one) => one.side === side)
    if (own.length > 0) return own.map(renderDifference).join('<br>')
    return side === 'upstream' && !isSent ? 'nothing' : 'same'
  }
  const answer = row.answer.parts.join('')
  const sent = [row.name]
  if (row.client.join() !== request('GET', '/x')) sent.push(code(showClient(row)))
  if (answer !== OK) sent.push(`← ${code(showAnswer(row))}`)
  return `| ${sent.join('<br>')} | ${cell('upstream')} | ${cell('client')} | ${charged} |`
}

function renderDifference({ what, name, direct, proxied, reason }: Row['differences'][number]) {
  const because = `(${reason.name})`
  if (what === 'refused') return `**${proxied}** ${because}`
  if (what === 'no answer') return `**closed** ${because}`
  if (what === 'no request') return `nothing ${because}`
  if (what === 'end') return `${direct} → ${proxied} ${because}`
  const label = what === 'field' ? '' : `${what}: `
  const shown = (text: string) =>
    text
      .split('\n')
      .map((line) => code(show(line)))
      .join(' and ')
  if (direct === '') return `${label}+ ${shown(proxied)} ${because}`
  if (proxied === '') return `${label}− ${shown(direct)} ${because}`
  const changed = name === '' ? proxied : proxied.slice(name.length + 2)
  return `${label}${shown(direct)} → ${shown(changed)} ${because}`
}

function showClient({ client }: Case): string {
  const steps = client.map((step) => {
    if (step === 'END') return ' (closes its side)'
    if (step === 'AWAIT_UPSTREAM') return ' (later) '
    if (step === 'AWAIT_ANSWER') return ' (when it has an answer) '
    return without(BASICS, step)
  })
  return show(steps.join('').replaceAll('{base}', ''))
}

function showAnswer({ answer }: Case): string {
  const parts = answer.parts.map((part) => {
    if (part === 'AWAIT_CLIENT') return ' (when the client has something) '
    if (part === 'AWAIT_WHOLE') return ' (when the request is whole) '
    return part === 'AWAIT_MORE' ? '(when the client has done its part) ' : without(USUAL, part)
  })
  const end = { open: '', end: ' (closes the connection)', reset: ' (resets the connection)' }
  return show(`${parts.join('').replaceAll('{base}', '')}${end[answer.then]}`)
}

/** Without the lines that every message has. */
function without(lines: readonly string[], text: string): string {
  return lines.reduce((rest, line) => rest.replaceAll(`${line}\r\n`, ''), text)
}

function show(text: string): string {
  const short = text
    .replace(/(.)\1{30,}/g, (run, char) => `${char.repeat(3)}… (${run.length} of them)`)
    .replace(
      /((?:\r\n|, )x-many-\d+(?:: \d+)?){9,}/gi,
      (run) => `⏎… (${run.split(/\r\n|, /).length - 1} of them)`,
    )
    .replaceAll('\r\n', '⏎')
    .replace(/⏎⏎(?= ?$| \()/, '')
    .replaceAll('\t', '\\t')
    .replace(
      /[\0-\x1f\x7f-\xff]/g,
      (char) => `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`,
    )
  return short.length > SHOWN_CHARS_MAX ? `${short.slice(0, SHOWN_CHARS_MAX)}…` : short
}

/** As code within a row of a table. */
function code(text: string): string {
  const fence = text.includes('`') ? '``' : '`'
  return fence + text.replaceAll('|', '\\|') + fence
}
