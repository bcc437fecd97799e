import { expect, test } from 'vitest'
import { SEED, mulberry } from './support/bytes.js'
import { appendAll, entryOf, newMemory, openLog } from './support/memory-log.js'

test('R7: a pointer whose end wraps around 32 bits is refused before anything is allocated for it', async () => {
  const random = mulberry(SEED)
  const log = await openLog(await newMemory(), {})
  await appendAll(log, [entryOf(random, 300), entryOf(random, 300)], 1)
  const before = process.memoryUsage().arrayBuffers
  for (const [offset, len] of [[100, 0xffff_ffff], [20, 0xffff_fff0], [0xffff_fff0, 100], [200, 0xffff_ff80]] as const) {
    expect(() => log.readSync({ fid: 1, offset, len })).toThrow(expect.objectContaining({ code: 'WK_CORRUPTION', file: '000001.vlog' }) as Error)
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1 << 20)
  }
  await log.close()
})
