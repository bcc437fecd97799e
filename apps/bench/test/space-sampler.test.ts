import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { SpaceSampler, spaceAmpOf, worstSpaceAmp } from '../src/measure/space-sampler.js'
import { temporaryDirectory } from './temporary-directory.js'

it('sees the worst moment, not only the end', async () => {
  const dir = temporaryDirectory()
  const sampler = new SpaceSampler(dir, () => 1_000_000)
  sampler.start()
  writeFileSync(join(dir, 'garbage'), Buffer.alloc(5_000_000, 1))
  await sleep(350)
  rmSync(join(dir, 'garbage'))
  const samples = sampler.stop()
  expect(samples.length).toBeGreaterThanOrEqual(3)
  expect(worstSpaceAmp(samples)).toBeGreaterThan(4.9)
  expect(spaceAmpOf(samples.at(-1)!)).toBeLessThan(0.1)
  expect(samples.every(({ seconds }, i) => i === 0 || seconds >= samples[i - 1]!.seconds)).toBe(true)
  expect(worstSpaceAmp([])).toBeNaN()
})
