import { expect, it } from 'vitest'
import { expectCode, large, onBothFileSystems } from './harness.js'

/** A value that compresses well, and differs from round to round. */
const repetitive = (round: number): Uint8Array => Buffer.from(`round ${round}: the same text again and again. `.repeat(100))

onBothFileSystems('valueCompression', (place) => {
  it('lz4 takes less space, and reads the same: after overwrites, GC, snapshots, and reopening without it', async () => {
    const at = place()
    const plainAt = place()
    const db = await at.open({ valueCompression: 'lz4' })
    const plain = await plainAt.open()
    for (let round = 0; round < 4; round++) {
      for (let i = 0; i < 40; i++) {
        const value = i % 2 === 0 ? repetitive(round * 100 + i) : large(2000, round * 100 + i)
        await Promise.all([db.put(`k${i}`, value), plain.put(`k${i}`, value)])
      }
    }
    await Promise.all([db.flush(), plain.flush()])
    expect(db.stats().valueLogBytes).toBeLessThan(plain.stats().valueLogBytes * 0.7)
    const snapshot = db.snapshot()
    await db.put('k0', repetitive(9999))
    await db.gc({ maxSpaceAmp: 1.01 })
    expect(await db.get('k0', { snapshot })).toEqual(new Uint8Array(repetitive(300)))
    snapshot.close()
    await db.close()
    const again = await at.open()
    for (let i = 1; i < 40; i++) {
      expect(await again.get(`k${i}`)).toEqual(i % 2 === 0 ? new Uint8Array(repetitive(300 + i)) : large(2000, 300 + i))
    }
    const entries = await again.iterator({ gte: 'k1', lt: 'k2' }).all()
    expect(entries).toHaveLength(11)
    expect((await again.verify()).problems).toEqual([])
  })

  it('another name is refused', async () => {
    await expectCode(() => place().open({ valueCompression: 'zip' as 'lz4' }), 'WK_INVALID_ARGUMENT')
  })
})
