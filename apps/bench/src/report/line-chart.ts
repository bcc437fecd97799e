/** Lines over time as inline SVG, one for each series, on one scale; colours as in `chart.ts`. */
import { escapeXml } from './chart.js'

/** One line. */
export interface Line {
  /** Number of its series: which colour. */
  readonly series: number
  readonly points: readonly (readonly [x: number, y: number])[]
}

/** A chart. */
export interface LineChart {
  readonly title: string
  readonly series: readonly string[]
  readonly lines: readonly Line[]
  /** What lies along the horizontal axis, with its unit. */
  readonly x: string
  /** A horizontal line that should not be crossed. */
  readonly bound?: number
}

const WIDTH = 860
const HEIGHT = 300
const LEFT = 50
const TOP = 58
const BOTTOM = 34
const TICKS = 4
/** More points than pixels only make the page heavy. */
const MOST_POINTS = 600

/** Renders a chart as one `<svg>` element. Both axes begin at zero. */
export function renderLineChart({ title, series, lines, x, bound }: LineChart): string {
  const points = lines.flatMap((line) => line.points)
  const width = Math.max(1e-9, ...points.map(([at]) => at))
  const height = 1.05 * Math.max(1e-9, bound ?? 0, ...points.map(([, value]) => value))
  const px = (at: number): string => (LEFT + (at / width) * (WIDTH - LEFT - 10)).toFixed(1)
  const py = (value: number): string => (HEIGHT - BOTTOM - (value / height) * (HEIGHT - TOP - BOTTOM)).toFixed(1)
  const ticks = Array.from({ length: TICKS + 1 }, (_, i) => {
    const value = (height * i) / TICKS
    const at = (width * i) / TICKS
    return (
      `<line class="grid" x1="${LEFT}" x2="${WIDTH - 10}" y1="${py(value)}" y2="${py(value)}"/>` +
      `<text class="value" x="${LEFT - 6}" y="${py(value)}" text-anchor="end">${value.toFixed(1)}</text>` +
      `<text class="value" x="${px(at)}" y="${HEIGHT - 18}" text-anchor="middle">${at.toFixed(0)}</text>`
    )
  })
  const limit = bound === undefined ? '' : `<line class="bound" x1="${LEFT}" x2="${WIDTH - 10}" y1="${py(bound)}" y2="${py(bound)}"/>`
  const paths = lines.map(({ series: number, points: all }) => {
    const every = Math.ceil(all.length / MOST_POINTS)
    const path = all.filter((_, i) => i % every === 0 || i === all.length - 1).map(([at, value]) => `${px(at)},${py(value)}`)
    return `<polyline class="l${number}" points="${path.join(' ')}"><title>${escapeXml(series[number] ?? '')}</title></polyline>`
  })
  const legend = series.map((name, i) => {
    const at = LEFT + i * 125
    return `<rect class="s${i}" x="${at}" y="30" width="11" height="11"/><text class="value" x="${at + 16}" y="40">${escapeXml(name)}</text>`
  })
  const texts = `<text class="title" x="0" y="16">${escapeXml(title)}</text><text class="value" x="${WIDTH / 2}" y="${HEIGHT - 3}" text-anchor="middle">${escapeXml(x)}</text>`
  return `<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${escapeXml(title)}">${texts}${legend.join('')}${ticks.join('')}${limit}${paths.join('')}</svg>`
}
