import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { renderBarChart } from '../src/report/chart.js'
import { compareEngines, comparePhases } from '../src/report/comparison.js'
import { formatBytes, formatDuration, formatNumber, formatRate } from '../src/report/format.js'
import { prepareOutput, writeReport } from '../src/report/report-files.js'
import { mergeRounds } from '../src/report/rounds.js'
import { renderTables } from '../src/report/table.js'
import { UsageError } from '../src/usage-error.js'
import { engineResult as engine, phaseResult as phase, runReport as report } from './sample-report.js'
import { temporaryDirectory } from './temporary-directory.js'

const SAMPLE = report([
  engine('wk', [phase('load', 0.5), phase('verify', 2, { operations: 1, bytes: 0, latency: null })]),
  engine('classic-level', [phase('load', 2), phase('collect', 1, { operations: 1, bytes: 0 })]),
  engine('lmdb', [phase('load', 0.25)], 'load: <broken>'),
])

describe('comparison', () => {
  it('sets wk against each rival', () => {
    const load = comparePhases(SAMPLE).find(({ name }) => name === 'load')
    expect(load?.rows.map(({ engine, ratio }) => [engine, ratio])).toEqual([
      ['wk', null],
      ['classic-level', 4],
      ['lmdb', 0.5],
    ])
    expect(load?.rows[0]).toMatchObject({ operationsPerSecond: 2000, megabytesPerSecond: 8, writtenPerUserByte: 1.5, diskPerLiveByte: 1.25 })
  })

  it('keeps phases that only some engines have', () => {
    expect(comparePhases(SAMPLE).map(({ name }) => name)).toEqual(['load', 'verify', 'collect'])
    expect(compareEngines(SAMPLE)[0]).toMatchObject({ handedPerUserByte: 1.5, dirtiedPerUserByte: 2, longestLoopDelay: 12 })
  })

  it('takes the median round of each phase, and a failed round whole', () => {
    const rounds = [engine('wk', [phase('load', 3)]), engine('wk', [phase('load', 1)]), engine('wk', [phase('load', 2)])]
    expect(mergeRounds(rounds).phases[0]).toMatchObject({ seconds: 2, roundSeconds: [3, 1, 2] })
    expect(mergeRounds([...rounds, engine('wk', [], 'lost a value')])).toMatchObject({ phases: [], failure: 'lost a value' })
  })
})

describe('report', () => {
  it('prints every phase and every failure', () => {
    const text = renderTables(SAMPLE, false)
    expect(text).toContain('2.00k')
    expect(text).toContain('4.00x')
    expect(text).toContain('lmdb FAILED: load: <broken>')
    expect(text).toContain('commit abcdef')
    expect(text).not.toContain('\u001b[')
    expect(renderTables(SAMPLE, true)).toContain('\u001b[')
  })

  it('writes JSON that is the report, and a page that fetches nothing and runs nothing', () => {
    const dir = join(temporaryDirectory(), 'made', 'on', 'the', 'way')
    prepareOutput(dir)
    const { json, html } = writeReport(dir, SAMPLE)
    expect(JSON.parse(readFileSync(json, 'utf8'))).toEqual(SAMPLE)
    const page = readFileSync(html, 'utf8')
    expect(page).toContain('<svg')
    expect(page).toContain('load of &#60;values&#62;')
    expect(page).not.toMatch(/<script|https?:|<broken>|NaN|undefined/)
    for (const tag of ['svg', 'table', 'tr', 'td', 'text', 'rect', 'ul', 'div']) {
      const opened = page.match(new RegExp(`<${tag}[ >]`, 'g'))?.length ?? 0
      const closed = page.match(new RegExp(`</${tag}>|<${tag} [^>]*/>`, 'g'))?.length ?? 0
      expect(closed, tag).toBe(opened)
    }
  })

  it('refuses a place that cannot be written to, before anything runs', () => {
    const dir = temporaryDirectory()
    writeFileSync(join(dir, 'file'), '')
    expect(() => prepareOutput(join(dir, 'file', 'sub'))).toThrow(UsageError)
    expect(() => prepareOutput(join(dir, 'file'))).toThrow(/cannot be written to/)
    mkdirSync(join(dir, 'there'))
    expect(() => prepareOutput(join(dir, 'there'))).not.toThrow()
  })

  it('draws bars in proportion', () => {
    const bars = [
      { series: 0, value: 10, text: '10' },
      { series: 1, value: 5, text: '5' },
      { series: 2, value: NaN, text: '-' },
    ]
    const svg = renderBarChart({ title: 'a & b', series: ['x', 'y', 'z'], groups: [{ label: 'one', bars }], scale: 'group' })
    const widths = [...svg.matchAll(/class="s\d" x="230" y="\d+" width="([\d.]+)" height="11"><title>/g)].map((match) => Number(match[1]))
    expect(widths[0]).toBe(2 * (widths[1] ?? 0))
    expect(widths[2]).toBe(1)
    expect(svg).toContain('a &#38; b')
  })

  it('formats numbers for people', () => {
    expect([0, 0.0123, 1.234, 12.34, 123.4, 1234.5].map(formatNumber)).toEqual(['0', '0.012', '1.23', '12.3', '123', '1235'])
    expect([999, 12_345, 2_000_000].map(formatRate)).toEqual(['999', '12.3k', '2.00M'])
    expect([1.5, 1500, 2_500_000].map(formatDuration)).toEqual(['1.50 µs', '1.50 ms', '2.50 s'])
    expect([12, 1200, 45_700_000, 2e9].map(formatBytes)).toEqual(['12 B', '1.20 kB', '45.7 MB', '2.00 GB'])
  })
})
