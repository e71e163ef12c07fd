/** Reads the text format of Prometheus, strictly: a line that is not of it is an error. */

type Series = {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

export type Family = {
  readonly name: string
  readonly type: string
  readonly help: string
  readonly series: readonly Series[]
}

export type Scrape = {
  readonly text: string
  readonly families: readonly Family[]
  readonly series: readonly Series[]
}

const SERIES = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/
const LABEL = /([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"(?:,|$)/y

export function parseMetrics(text: string): Scrape {
  const families: (Family & { series: Series[] })[] = []
  for (const line of text.split('\n')) {
    if (line === '') continue
    const [, help, name = '', rest = ''] = /^# (HELP|TYPE) (\S+) (.+)$/.exec(line) ?? []
    const latest = families.at(-1)
    if (help === 'HELP') families.push({ name, help: rest, type: '', series: [] })
    else if (help === 'TYPE' && latest?.name === name)
      families[families.length - 1] = { ...latest, type: rest }
    else if (latest && line.startsWith(latest.name)) latest.series.push(parseSeries(line))
    else throw new Error(`not a line of Prometheus: ${line}`)
  }
  return { text, families, series: families.flatMap(({ series }) => series) }
}

function parseSeries(line: string): Series {
  const [, name, inner = '', number] = SERIES.exec(line) ?? []
  const value = number === '+Inf' ? Number.POSITIVE_INFINITY : Number(number)
  const labels: Record<string, string> = {}
  let at = 0
  while (at < inner.length) {
    LABEL.lastIndex = at
    const [, label, text] = LABEL.exec(inner) ?? []
    if (label === undefined || text === undefined) throw new Error(`labels of ${line}`)
    labels[label] = text
    at = LABEL.lastIndex
  }
  if (name === undefined || Number.isNaN(value)) throw new Error(`not a series: ${line}`)
  return { name, labels, value }
}
