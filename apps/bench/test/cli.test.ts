import { describe, expect, it, vi } from 'vitest'
import { parseArguments } from '../src/cli.js'
import { UsageError } from '../src/usage-error.js'

describe('command line', () => {
  it('runs the main job on all engines by default', () => {
    const request = parseArguments([])
    expect(request).toMatchObject({
      kind: 'run',
      options: { workload: 'files', parts: ['files'], engines: ['wk', 'classic-level', 'lmdb', 'files'], quick: false, rounds: 3, seed: 42 },
    })
    if (request.kind === 'run') expect(request.out).toMatch(/apps[/\\]bench[/\\]results$/)
  })

  it('takes its options', () => {
    const args = ['--workload', 'kv', '--engine', 'lmdb,wk', '--quick', '--seed', '7', '--out', '/tmp/out', '--part', '1k-reads,1k-puts', '--max-mib', '3']
    expect(parseArguments(args)).toMatchObject({
      kind: 'run',
      out: '/tmp/out',
      options: { workload: 'kv', engines: ['lmdb', 'wk'], quick: true, parts: ['1k-puts', '1k-reads'], rounds: 1, seed: 7, limits: { maxBytes: 3 * 1024 * 1024, seed: 7 } },
    })
  })

  it('runs parts of long values only where they are named', () => {
    const request = parseArguments(['--workload', 'churn'])
    if (request.kind !== 'run') throw new Error('no run')
    expect(request.options.parts).toEqual(['16k-uniform', '16k-zipfian', '1k-uniform', '1k-zipfian', 'load-only', 'delete-all'])
    expect(parseArguments(['--workload', 'churn', '--part', '1m-uniform', '--engine', 'wk-holes'])).toMatchObject({ options: { parts: ['1m-uniform'], engines: ['wk-holes'] } })
    expect(parseArguments(['--workload', 'churn', '--engine', 'wk,wk-copies,wk-gc-off'])).toMatchObject({ options: { engines: ['wk', 'wk-copies', 'wk-gc-off'] } })
  })

  it('knows the input of the main job', () => {
    expect(parseArguments(['--input', '/tmp'])).toMatchObject({ options: { input: '/tmp', rounds: 3 } })
  })

  it.each([
    [['--engine', 'sqlite'], /sqlite: unknown; there are wk, wk-holes, wk-copies, wk-gc-off/],
    [['--engine', 'null'], /null: cannot run files; there are wk, classic-level/],
    [['--workload', 'kv', '--engine', 'files'], /files: cannot run kv/],
    [['--workload', 'kv', '--input', '/tmp'], /kv takes no input/],
    [['--workload', 'churn', '--part', '2k-uniform'], /2k-uniform: unknown; churn has 16k-uniform/],
    [['--engine', 'wk,'], /unknown/],
    [['--engine', 'wk', '--engine', 'lmdb'], /more than once/],
    [['--workload', 'tpcc'], /tpcc: unknown/],
    [['--seed', 'x'], /whole number/],
    [['--rounds', '0'], /at least 1/],
    [['--max-mib', '0.5'], /whole number/],
    [['--input'], /missing/],
    [['--fast'], /--fast/],
    [['stray'], /stray/],
  ])('refuses %j', (args, message) => {
    expect(() => parseArguments(args)).toThrow(UsageError)
    expect(() => parseArguments(args)).toThrow(message)
  })

  it('prints help and runs nothing', () => {
    const log = vi.spyOn(console, 'info').mockImplementation(() => {})
    const other = vi.spyOn(console, 'log').mockImplementation(() => {})
    expect(parseArguments(['--help'])).toEqual({ kind: 'help' })
    expect([...log.mock.calls, ...other.mock.calls].flat().join('\n')).toContain('--workload <name>')
    vi.restoreAllMocks()
  })
})
