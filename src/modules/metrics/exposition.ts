/**
 * Writes metrics in the text format of Prometheus, version 0.0.4
 * (prometheus.io/docs/instrumenting/exposition_formats).
 */
import { METRICS, type MetricName } from './table.ts'

export const CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8'

export type Labels = Readonly<Record<string, string | number>>

/** One line: a value, its labels, and what a histogram or summary appends to the name. */
export type Sample = {
  readonly labels: Labels
  readonly value: number
  readonly suffix?: '_bucket' | '_sum' | '_count'
}

/** A metric of the table. It is read only when somebody asks for it. */
export type Metric = {
  readonly name: MetricName
  readonly read: () => readonly Sample[] | Promise<readonly Sample[]>
}

export async function writeExposition(metrics: readonly Metric[]): Promise<string> {
  const families = await Promise.all(metrics.map(writeFamily))
  return `${families.join('\n\n')}\n`
}

async function writeFamily({ name, read }: Metric): Promise<string> {
  const { help, type } = METRICS[name]
  const samples = await read()
  return [
    `# HELP ${name} ${escapeHelp(help)}`,
    `# TYPE ${name} ${type}`,
    ...samples.map(
      ({ suffix = '', labels, value }) =>
        `${name}${suffix}${writeLabels(labels)} ${writeNumber(value)}`,
    ),
  ].join('\n')
}

function writeLabels(labels: Labels): string {
  const written = Object.entries(labels).map(
    ([label, value]) => `${label}="${escapeLabel(String(value))}"`,
  )
  return written.length > 0 ? `{${written.join(',')}}` : ''
}

function escapeHelp(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')
}

function escapeLabel(text: string): string {
  return escapeHelp(text).replaceAll('"', '\\"')
}

function writeNumber(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return '+Inf'
  return value === Number.NEGATIVE_INFINITY ? '-Inf' : String(value)
}
