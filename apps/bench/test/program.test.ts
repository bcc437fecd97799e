import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { RunReport } from '../src/report/result.js'
import { temporaryDirectory, writeInput } from './temporary-directory.js'

const MAIN = join(import.meta.dirname, '../dist/main.js')

function bench(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  return benchWith({}, ...args)
}

function benchWith(env: Record<string, string>, ...args: string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, [MAIN, ...args], { encoding: 'utf8', env: { ...process.env, ...env } })
}

// Engine processes run compiled code: these tests need a build and are skipped without one.
describe.skipIf(!existsSync(MAIN))('the program', () => {
  const root = temporaryDirectory()
  const input = join(root, 'input')
  const out = join(root, 'out')
  const tmp = join(root, 'tmp')
  mkdirSync(input)
  mkdirSync(tmp)
  writeInput(input, 50)

  it('runs each engine in its own process, writes both reports, and leaves no database behind', () => {
    const { status, stdout, stderr } = bench('--engine', 'classic-level,lmdb', '--input', input, '--out', out, '--tmp', tmp, '--quick', '--rounds', '2')
    expect(stderr).toContain('classic-level 2/2: load: ')
    expect(status).toBe(0)
    expect(stdout).toContain('overwrite half')
    expect(stdout).toContain('median of 2 rounds')
    expect(readdirSync(tmp)).toEqual([])
    const files = readdirSync(out).sort()
    expect(files.map((name) => name.replace(/.*\./, ''))).toEqual(['html', 'json'])
    const report = JSON.parse(readFileSync(join(out, files[1] ?? ''), 'utf8')) as RunReport
    expect(report).toMatchObject({ workload: 'files', quick: true, rounds: 2, input: { files: 50, complete: true } })
    expect(report.engines.map(({ engine, failure }) => [engine, failure])).toEqual([
      ['classic-level', null],
      ['lmdb', null],
    ])
  })

  it('lists an engine whose package has no binary here as absent, and runs the others', () => {
    const block = join(root, 'block.cjs')
    writeFileSync(block, `const m = require('module'), load = m._load; m._load = (id, ...rest) => { if (id === 'rocksdb-native') throw new Error('no binary'); return load(id, ...rest) }`)
    const env = { NODE_OPTIONS: `--require ${block}` }
    const { status, stdout } = benchWith(env, '--engine', 'rocksdb,lmdb', '--input', input, '--out', join(root, 'absent'), '--tmp', tmp, '--quick')
    expect(stdout).toContain('absent: rocksdb cannot be loaded here: no binary')
    expect(stdout).toContain('scan again')
    expect(status).toBe(0)
    expect(benchWith(env, '--engine', 'rocksdb', '--input', input, '--out', join(root, 'absent'), '--tmp', tmp, '--quick').status).toBe(1)
  })

  it('ends with status 2 and one clear line for what it cannot do', () => {
    writeFileSync(join(root, 'file'), '')
    const cases: [string[], RegExp][] = [
      [['--engine', 'nothing'], /--engine nothing: unknown/],
      [['--input', join(root, 'missing'), '--out', out], /--input .*missing: no such directory/],
      [['--out', join(root, 'file', 'out')], /--out .*: cannot be written to/],
      [['--tmp', join(root, 'missing'), '--out', out], /--tmp .*: cannot be written to/],
    ]
    for (const [args, message] of cases) {
      const { status, stderr } = bench(...args)
      expect(stderr).toMatch(message)
      expect(stderr.trim().split('\n')).toHaveLength(1)
      expect(status).toBe(2)
    }
    expect(bench('--help')).toMatchObject({ status: 0, stderr: '' })
  })
})
