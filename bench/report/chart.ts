/** A bar chart as one small SVG file that follows the reader's light or dark theme. Pure. */

export type Bar = {
  readonly label: string
  readonly value: number
  /** The whisker. */
  readonly min: number
  readonly max: number
  /** Drawn in the accent colour. */
  readonly ours?: boolean
}

export type Chart = {
  readonly title: string
  readonly subtitle: string
  readonly unit: string
  readonly bars: readonly Bar[]
  /** A longer bar is drawn no longer than this, with a gap that says so. */
  readonly cutAt?: number
}

const WIDTH = 760
const LABEL_X = 24
const BARS_X = 260
const BARS_WIDTH = 380
const TOP = 84
const ROW = 40
const BAR = 22

const STYLE = `
  text { font: 14px system-ui, -apple-system, 'Segoe UI', 'Noto Sans', Helvetica, Arial, sans-serif; fill: #1f2328 }
  .paper { fill: #ffffff; stroke: #d1d9e0 }
  .title { font-size: 17px; font-weight: 600 }
  .quiet { fill: #59636e; font-size: 13px }
  .value { font-variant-numeric: tabular-nums }
  .bar { fill: #afb8c1 }
  .ours { fill: #0969da }
  .whisker { stroke: #1f2328; stroke-width: 1.5 }
  .gap { stroke: #ffffff; stroke-width: 3; fill: none }
  .axis { stroke: #d1d9e0 }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc }
    .paper { fill: #0d1117; stroke: #3d444d }
    .quiet { fill: #9198a1 }
    .bar { fill: #59636e }
    .ours { fill: #4493f8 }
    .whisker { stroke: #f0f6fc }
    .gap { stroke: #0d1117 }
    .axis { stroke: #3d444d }
  }
`

export function barChart({ title, subtitle, unit, bars, cutAt = Infinity }: Chart): string {
  const most = Math.min(cutAt, Math.max(...bars.map((bar) => bar.max)))
  const x = (value: number) => BARS_X + (Math.min(value, most) / most) * BARS_WIDTH
  const height = TOP + bars.length * ROW + 12
  const summary = bars.map((bar) => `${bar.label}: ${shown(bar.value)} ${unit}`).join('; ')
  const rows = bars.map((bar, i) => {
    const y = TOP + i * ROW
    const middle = y + BAR / 2
    const end = bar.value > cutAt ? gap(x(cutAt), y) : whisker(x(bar.min), x(bar.max), middle)
    return `  <text x="${LABEL_X}" y="${middle + 5}">${escaped(bar.label)}</text>
  <rect class="${bar.ours ? 'ours' : 'bar'}" x="${BARS_X}" y="${y}" width="${px(x(bar.value) - BARS_X)}" height="${BAR}" rx="2"/>
  ${end}
  <text class="value" x="${px(x(bar.max) + 10)}" y="${middle + 5}">${shown(bar.value)} ${escaped(unit)}</text>`
  })
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-labelledby="title desc">
  <title id="title">${escaped(title)}</title>
  <desc id="desc">${escaped(summary)}</desc>
  <style>${STYLE}</style>
  <rect class="paper" x="0.5" y="0.5" width="${WIDTH - 1}" height="${height - 1}" rx="6"/>
  <text class="title" x="${LABEL_X}" y="36">${escaped(title)}</text>
  <text class="quiet" x="${LABEL_X}" y="58">${escaped(subtitle)}</text>
  <line class="axis" x1="${BARS_X}" y1="${TOP - 8}" x2="${BARS_X}" y2="${height - 12}"/>
${rows.join('\n')}
</svg>
`
}

function whisker(from: number, to: number, y: number): string {
  return `<line class="whisker" x1="${px(from)}" y1="${y}" x2="${px(to)}" y2="${y}"/>`
}

/** Two slanted strokes of the paper's colour, near the end of the bar. */
function gap(end: number, y: number): string {
  const stroke = (x: number) => `M${px(x)} ${y + BAR + 2} l8 -${BAR + 4}`
  return `<path class="gap" d="${stroke(end - 34)} ${stroke(end - 26)}"/>`
}

function shown(value: number): string {
  return value < 1000 ? value.toFixed(1) : Math.round(value).toLocaleString('en-US')
}

function px(value: number): string {
  return value.toFixed(1)
}

function escaped(text: string): string {
  return text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;')
}
