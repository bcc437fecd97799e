import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { listFiles } from '../src/input/file-list.js'
import { planInput, readPlan, writePlan } from '../src/input/input-plan.js'
import { sampleFiles } from '../src/input/sample.js'
import { UsageError } from '../src/usage-error.js'
import { temporaryDirectory, writeInput } from './temporary-directory.js'

describe('listing input files', () => {
  const root = temporaryDirectory()
  writeInput(root, 40)

  it('finds every regular file once, in the same order each time, and no link', () => {
    const list = listFiles(root)
    expect(list.files).toHaveLength(40)
    expect(list.skipped).toBe(1)
    expect(new Set(list.files.map(({ path }) => path)).size).toBe(40)
    expect(list.bytes).toBe(list.files.reduce((sum, { size }) => sum + size, 0))
    expect(listFiles(root)).toEqual(list)
    expect(list.files.some(({ path }) => path.startsWith('link'))).toBe(false)
  })

  it('refuses what holds no files', () => {
    const empty = join(root, '..', `${root.split('/').at(-1) ?? ''}-empty`)
    expect(() => listFiles(join(root, 'missing'))).toThrow(UsageError)
    expect(() => listFiles(join(root, listFiles(root).files[0]?.path ?? ''))).toThrow(/no such directory/)
    mkdirSync(join(root, 'folder-0', 'empty'))
    expect(() => listFiles(join(root, 'folder-0', 'empty'))).toThrow(/no regular file/)
    expect(() => listFiles(empty)).toThrow(UsageError)
  })

  it('samples within its limits, the same files for the same seed', () => {
    const list = listFiles(root)
    const limits = { maxBytes: 150_000, maxFiles: 15, seed: 1 }
    const sample = sampleFiles(list, limits)
    expect(sample.complete).toBe(false)
    expect(sample.files.length).toBeGreaterThan(5)
    expect(sample.files.length).toBeLessThanOrEqual(15)
    expect(sample.bytes).toBeLessThanOrEqual(150_000)
    expect(sampleFiles(list, limits)).toEqual(sample)
    expect(sampleFiles(list, { ...limits, seed: 2 }).files).not.toEqual(sample.files)
    const order = sample.files.map((file) => list.files.indexOf(file))
    expect(order).toEqual([...order].sort((a, b) => a - b))
  })

  it('takes everything when it fits', () => {
    const list = listFiles(root)
    expect(sampleFiles(list, { maxBytes: 1e9, maxFiles: 1000, seed: 1 })).toEqual({ files: list.files, bytes: list.bytes, complete: true })
  })

  it('makes a plan whose digest changes with the content', async () => {
    const limits = { maxBytes: 1e9, maxFiles: 1000, seed: 1 }
    const plan = await planInput(root, limits)
    expect(plan.summary).toMatchObject({ files: 40, foundFiles: 40, complete: true, largest: 1_000_000 })
    const file = join(root, 'plan.json')
    writePlan(file, plan)
    expect(readPlan(file)).toEqual(plan)
    const again = await planInput(root, { ...limits, maxFiles: 1000 })
    expect(again.summary.files).toBe(41)
    writeFileSync(file, 'other')
    expect((await planInput(root, limits)).summary.digest).not.toBe(again.summary.digest)
  })
})
