/**
 * A host of its own over an encrypted log, after crashes that leave older blocks of other files in the unsynced tail (policy P4): every file can be
 * recounted and collected, for good, and what was durable reads as before. With `WK_SEED` the crashes are others.
 */
import { CorruptionError, NoRewriteError, type ValuePointer } from '@wk/codec'
import { ManualRuntime, MemoryFileSystem } from '@wk/fs'
import { ValueLog, type ValueLogOptions } from '@wk/vlog'
import { describe, expect, it } from 'vitest'
import { GarbageCollector } from '../src/index.js'
import { MapHost, MapIndex, textOf } from './support/map-index.js'

const SEED = Number(process.env['WK_SEED'] ?? 1)
const DIR = '/values'
/** With it a record has 64 bytes: such ones begin at the same places of every sector. */
const valueOf = (n: number): string => `value ${n}`.padEnd(44, '.')

interface Image {
  readonly fs: MemoryFileSystem
  /** Durable pointers. */
  readonly pointers: ReadonlyMap<string, ValuePointer>
  readonly synced: { fid: number; offset: number }
}

async function openLog(fs: MemoryFileSystem, options: ValueLogOptions): Promise<ValueLog> {
  return ValueLog.open(DIR, { fs, runtime: new ManualRuntime({ seed: 7 }), fileSize: 4096, ...options })
}

/** Where what a crash kept behind lost bytes looks like damage, the host says once what was durable. */
async function reopen({ fs, synced }: Image, options: ValueLogOptions): Promise<ValueLog> {
  try {
    return await openLog(fs, options)
  } catch (error) {
    if (!(error instanceof CorruptionError)) throw error
    await (await openLog(fs, { ...options, durable: synced })).close()
    return openLog(fs, options)
  }
}

describe.each([['plain', {}], ['encrypted', { encryptionKey: new Uint8Array(32).fill(5) }]])('a log that is %s, after crashes of kind P4', (_, options) => {
  it('law 6: is recounted and collected to the end', async () => {
    const fs = new MemoryFileSystem()
    const images: Image[] = []
    let pointers: ReadonlyMap<string, ValuePointer> = new Map()
    let synced = { fid: 0, offset: 0 }
    fs.onMutatingOperation = (index) => void images.push({ fs: fs.crashClone('P4', 1000 * SEED + index), pointers, synced })
    const host = new MapHost(await openLog(fs, options))
    for (let n = 0; n < 160; n++) {
      await host.put(`k${n % 10}`, valueOf(n))
      if (n % 6 !== 5) continue
      await host.vlog.sync()
      pointers = new Map(host.index.map)
      synced = host.vlog.syncedPosition()
    }
    fs.onMutatingOperation = undefined
    expect(images.length).toBeGreaterThan(100)
    for (const image of images) {
      const vlog = await reopen(image, options)
      const index = new MapIndex()
      for (const [key, pointer] of image.pointers) index.map.set(key, pointer)
      const values = new Map([...image.pointers].map(([key, pointer]) => [key, textOf(vlog.readSync(pointer).value)]))
      await vlog.seal()
      const gc = new GarbageCollector({ vlog, index, runtime: new ManualRuntime() })
      await gc.recount({ repair: true })
      for (;;) {
        try {
          await gc.run({ discardRatio: 0.001 })
        } catch (error) {
          if (error instanceof NoRewriteError) break
          throw error
        }
      }
      const referenced = new Set([...index.map.values()].map(({ fid }) => fid))
      for (const { fid, sealed, validEnd } of vlog.files()) if (sealed && validEnd > 20) expect(referenced).toContain(fid)
      for (const [key, pointer] of index.map) expect(textOf(vlog.readSync(pointer).value)).toBe(values.get(key))
      await vlog.close()
    }
  })
})
