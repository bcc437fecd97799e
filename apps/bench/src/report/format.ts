/** Numbers as people read them. One place, so that the terminal and the HTML report agree. */

/** Three significant digits, no exponent. */
export function formatNumber(value: number): string {
  if (!Number.isFinite(value)) return '-'
  if (value === 0) return '0'
  const digits = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))))
  return value.toFixed(Math.min(3, digits))
}

/** A rate: 950, 12.3k, 1.20M. */
export function formatRate(perSecond: number): string {
  if (!Number.isFinite(perSecond)) return '-'
  if (perSecond >= 1e6) return `${formatNumber(perSecond / 1e6)}M`
  if (perSecond >= 1e3) return `${formatNumber(perSecond / 1e3)}k`
  return formatNumber(perSecond)
}

/** A duration given in microseconds: 850 µs, 1.25 ms, 3.1 s. */
export function formatDuration(microseconds: number): string {
  if (!Number.isFinite(microseconds)) return '-'
  if (microseconds < 1e3) return `${formatNumber(microseconds)} µs`
  if (microseconds < 1e6) return `${formatNumber(microseconds / 1e3)} ms`
  return `${formatNumber(microseconds / 1e6)} s`
}

/** Bytes in decimal units, as the MB/s of the tables. */
export function formatBytes(bytes: number): string {
  if (bytes >= 1e9) return `${formatNumber(bytes / 1e9)} GB`
  if (bytes >= 1e6) return `${formatNumber(bytes / 1e6)} MB`
  if (bytes >= 1e3) return `${formatNumber(bytes / 1e3)} kB`
  return `${bytes} B`
}

/** A ratio: 0.52x, 3.4x; a dash where there is none. */
export function formatRatio(ratio: number | null): string {
  return ratio === null || !Number.isFinite(ratio) ? '-' : `${formatNumber(ratio)}x`
}
