/**
 * A crash before every operation of a `load`, with other writes beside it: the database opens and verifies, everything that was
 * acknowledged is there, of the stream a part in its order; once `load` has resolved, all of it.
 */
import { CRASH_POLICIES, MemoryFileSystem } from '@wk/fs'
import type { CrashPolicy } from '@wk/fs'
import { expect, it } from 'vitest'
import { DB } from '../src/index.js'
import { SMALL, large, text } from './harness.js'

const POLICIES = CRASH_POLICIES.slice(0, 4)

it.each(['alone', 'beside a write of the last moment', 'beside writers'])('law 1: a load that a crash ends loses nothing that was acknowledged (%s)', async (how) => {
  const source = await DB.open('/source', { ...SMALL, fs: new MemoryFileSystem({ crashable: false }) })
  for (let i = 0; i < 300; i++) await source.put(`k${i % 100}`, large(i % 2 === 0 ? 30 : 400, i))
  const chunks: Uint8Array[] = []
  for await (const chunk of source.backup()) chunks.push(chunk)
  const { version } = source.stats()
  await source.close()

  const fs = new MemoryFileSystem()
  const db = await DB.open('/db', { ...SMALL, fs })
  const images: { fs: MemoryFileSystem; policy: CrashPolicy; where: string; mine: number }[] = []
  let mine = 0
  let isLoading = true
  let lastMoment: Promise<void> | undefined
  fs.onMutatingOperation = (index, { kind, path }) => {
    const policy = POLICIES[(index >> 2) % POLICIES.length] as CrashPolicy
    // The versions of the stream have been taken, but the manifest does not say so yet.
    if (how === 'beside a write of the last moment' && db.stats().version === version) lastMoment ??= db.put('mine', '1').then(() => void mine++)
    if (how === 'beside writers' && index % 4 !== 0) return
    for (const one of how === 'beside writers' ? [policy] : POLICIES) images.push({ fs: fs.crashClone(one, index), policy: one, where: `${one} before ${index} (${kind} ${path})`, mine })
  }
  const writing = (async () => {
    while (how === 'beside writers' && isLoading) {
      await db.put('mine', String(mine + 1), { sync: true })
      mine++
    }
  })()
  await db.load(chunks)
  const loaded = fs.crashClone('P0', 1)
  isLoading = false
  await writing
  await lastMoment
  fs.onMutatingOperation = undefined
  if (how !== 'beside writers') expect(db.stats().version).toBe(how === 'alone' ? version : version + 1)
  await db.close()
  expect(images.length).toBeGreaterThan(40)
  images.push({ fs: loaded, policy: 'P0', where: 'after the load', mine: 0 })
  for (const image of images) {
    const after = await DB.open('/db', { ...SMALL, fs: image.fs }).catch((cause: unknown) => {
      throw new Error(`${image.where}: ${String(cause)}`, { cause })
    })
    expect((await after.verify()).problems, image.where).toEqual([])
    expect(Number(text(await after.get('mine')) ?? 0), image.where).toBeGreaterThanOrEqual(image.mine)
    const keys = (await after.keys({ gte: 'k', lt: 'l' }).all()).map(text)
    const order = Array.from({ length: 100 }, (_, i) => `k${i}`).sort()
    expect(keys, image.where).toEqual(order.slice(0, keys.length))
    if (image.where === 'after the load') expect(keys).toHaveLength(100)
    await after.put('new', 'write')
    await after.load(chunks)
    expect(await after.get('k99')).toEqual(large(400, 299))
    await after.close()
    const again = await DB.open('/db', { ...SMALL, fs: image.fs })
    expect(text(await again.get('new')), image.where).toBe('write')
    await again.close()
  }
})
