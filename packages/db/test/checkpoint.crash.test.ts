/**
 * A crash before every operation of a checkpoint, under each policy: the copy opens and is whole, or is refused (missing,
 * or damaged, never something else), and the database itself has lost nothing. Once it has resolved, it survives loss of power.
 */
import { CRASH_POLICIES, FaultFileSystem, MemoryFileSystem } from '@wk/fs'
import { expect, it } from 'vitest'
import { DB } from '../src/index.js'
import { SMALL, large, text } from './harness.js'

it.each(['with links', 'with copies'])('a checkpoint is whole or refused, whenever a crash comes (%s)', async (how) => {
  const memory = new MemoryFileSystem()
  const fs = new FaultFileSystem(memory)
  if (how === 'with copies') fs.add({ operation: 'link', errno: 'EMLINK', times: Infinity })
  const db = await DB.open('/db', { ...SMALL, fs })
  for (let i = 0; i < 80; i++) await db.put(`k${i % 30}`, large(i % 2 === 0 ? 20 : 500, i), { sync: i === 79 })
  const contentOf = async (one: DB): Promise<string[]> => (await one.iterator().all()).map(([key, value]) => `${text(key)}=${Buffer.from(value).toString('base64')}`)
  const expected = await contentOf(db)
  const images: { fs: MemoryFileSystem; where: string }[] = []
  memory.onMutatingOperation = (index, { kind, path }) => {
    for (const policy of CRASH_POLICIES) images.push({ fs: memory.crashClone(policy, index), where: `${policy} before ${index} (${kind} ${path})` })
  }
  await db.checkpoint('/new/copy')
  memory.onMutatingOperation = undefined
  for (const policy of CRASH_POLICIES) images.push({ fs: memory.crashClone(policy, 1), where: `${policy} after it` })
  await db.close()
  const outcomes = new Map<string, number>()
  for (const image of images) {
    const outcome = await DB.open('/new/copy', { ...SMALL, fs: image.fs, createIfMissing: false }).then(
      async (copy) => {
        expect(await contentOf(copy), image.where).toEqual(expected)
        expect((await copy.verify()).problems, image.where).toEqual([])
        await copy.put('new', 'write')
        await copy.close()
        return 'whole'
      },
      (err: { code: string }) => err.code,
    )
    if (image.where.endsWith('after it')) expect(outcome, image.where).toBe('whole')
    expect(['whole', 'WK_NOT_FOUND', 'WK_CORRUPTION'], image.where).toContain(outcome)
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
    const source = await DB.open('/db', { ...SMALL, fs: image.fs })
    expect(await contentOf(source), image.where).toEqual(expected)
    expect((await source.verify()).problems, image.where).toEqual([])
    await source.close()
    await DB.destroy('/new/copy', { fs: image.fs })
  }
  for (const outcome of ['whole', 'WK_NOT_FOUND', 'WK_CORRUPTION']) expect(outcomes.get(outcome), outcome).toBeGreaterThan(0)
})
