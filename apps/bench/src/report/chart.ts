/**
 * Bar charts as inline SVG: groups of horizontal bars, one bar per series, its value written behind it. No scripts, no fonts, no
 * network; colours come from the page's style sheet through the classes `s0`, `s1`, ….
 */

/** One bar. */
export interface Bar {
  /** Number of its series: which colour. */
  readonly series: number
  readonly value: number
  /** The value as text. */
  readonly text: string
}

/** Bars that belong together, under one label. */
export interface BarGroup {
  readonly label: string
  readonly bars: readonly Bar[]
}

/** A chart. */
export interface BarChart {
  readonly title: string
  readonly series: readonly string[]
  readonly groups: readonly BarGroup[]
  /** `group`: the longest bar of each group has full length, for groups of different magnitude. `chart`: one scale for all. */
  readonly scale: 'group' | 'chart'
}

const WIDTH = 860
const LABEL = 230
const VALUE = 90
const BAR = 13
const GAP = 9
const HEAD = 52

/** Renders a chart as one `<svg>` element. Bars of zero or unknown length are drawn as a hairline. */
export function renderBarChart(chart: BarChart): string {
  const overall = longest(chart.groups.flatMap((group) => group.bars))
  const parts: string[] = []
  let y = HEAD
  for (const group of chart.groups) {
    const scale = (WIDTH - LABEL - VALUE) / (chart.scale === 'chart' ? overall : longest(group.bars))
    const middle = y + (group.bars.length * BAR) / 2 + 4
    parts.push(`<text class="label" x="${LABEL - 10}" y="${middle}" text-anchor="end">${escapeXml(group.label)}</text>`)
    for (const bar of group.bars) {
      const width = Math.max(1, Number.isFinite(bar.value) ? bar.value * scale : 0)
      const name = `${chart.series[bar.series] ?? ''}, ${group.label}: ${bar.text}`
      parts.push(
        `<rect class="s${bar.series}" x="${LABEL}" y="${y}" width="${width.toFixed(1)}" height="${BAR - 2}"><title>${escapeXml(name)}</title></rect>`,
        `<text class="value" x="${(LABEL + width + 5).toFixed(1)}" y="${y + BAR - 3}">${escapeXml(bar.text)}</text>`,
      )
      y += BAR
    }
    y += GAP
  }
  const legend = chart.series.map((name, i) => {
    const x = LABEL + i * 140
    const text = `<text class="value" x="${x + 16}" y="38">${escapeXml(name)}</text>`
    return `<rect class="s${i}" x="${x}" y="28" width="11" height="11"/>${text}`
  })
  const title = `<text class="title" x="0" y="16">${escapeXml(chart.title)}</text>`
  return `<svg viewBox="0 0 ${WIDTH} ${y}" role="img" aria-label="${escapeXml(chart.title)}">${title}${legend.join('')}${parts.join('')}</svg>`
}

/** A text made safe for XML and HTML, in content and in attributes. */
export function escapeXml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
}

function longest(bars: readonly Bar[]): number {
  return Math.max(1e-12, ...bars.map(({ value }) => (Number.isFinite(value) ? value : 0)))
}
