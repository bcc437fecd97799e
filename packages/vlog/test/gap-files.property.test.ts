/** Gaps that are opened, filled, moved, dropped and opened anew in any order, against a plain list of what is alive. */
import type { MemoryFileSystem } from '@wk/fs'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { RUNS, SEED } from './support/bytes.js'
import { GapDriver, type GapDriverOptions } from './support/gap-driver.js'
import { newMemory } from './support/memory-log.js'

type Step = (driver: GapDriver) => Promise<void> | void

const steps: { weight: number; arbitrary: fc.Arbitrary<[string, Step]> }[] = []
const add = (weight: number, name: string, step: Step): void => void steps.push({ weight, arbitrary: fc.constant([name, step]) })

for (const most of [60, 900, 4000, 30_000]) {
  add(3, `append ${most}`, (driver) => driver.append(1 + driver.below(8), most))
  add(1, `append ${most} unawaited`, (driver) => driver.append(1 + driver.below(8), most, false))
}
add(1, 'append, synced', (driver) => driver.append(2, 900, true, true))
add(3, 'stage', (driver) => driver.stage(Array.from({ length: 1 + driver.below(6) }, () => driver.below(3000)), 'sync'))
add(2, 'stage, written aside', (driver) => driver.stage(Array.from({ length: 1 + driver.below(6) }, () => driver.below(3000)), 'async'))
add(1, 'stage a long one', (driver) => driver.stage([driver.below(900), 131_072 + driver.below(9000), driver.below(900)], 'sync'))
for (const alone of [Infinity, 800, 20_000, 131_072]) add(1, `alone from ${alone}`, (driver) => driver.log.limitFiles(driver.below(2) === 0 ? 1 << 30 : 50_000, driver.below(100_000), alone))
for (const share of [0.3, 0.7, 0.95]) add(2, `kill ${share}`, (driver) => driver.kill(share))
add(5, 'fill', (driver) => driver.fill(1))
add(2, 'fill some', (driver) => driver.fill(0.5))
add(2, 'fill beside appends', (driver) => driver.fill(1, 5))
add(2, 'sync', (driver) => driver.sync())
add(3, 'seal', (driver) => driver.seal())
add(1, 'give up', (driver) => driver.log.gaps.giveUp())
add(1, 'relocate', (driver) => driver.relocate(0.4))
add(1, 'readdress', (driver) => driver.readdress())
add(1, 'drop', (driver) => driver.drop())
add(1, 'punch', (driver) => driver.punch(0.3))
add(2, 'walk', (driver) => driver.walk(1 + driver.below(6)))
add(1, 'end walk', (driver) => driver.endWalk())
add(1, 'verify', async (driver) => {
  await driver.settle()
  expect(await driver.log.verify()).toMatchObject({ ok: true })
})
add(1, 'reopen', (driver) => driver.reopen())
add(1, 'crash of the process', async (driver) => {
  await driver.settle()
  await driver.endWalk()
  // What it wrote is there, and what waits in memory is not: the host has it from its own log.
  if (driver.log.stagedBytes > 0) await driver.log.writeStaged()
  const image = (driver.fs as MemoryFileSystem).crashClone('P1')
  await driver.log.close()
  driver.fs = image
  await driver.open({ durable: driver.synced, expectedFids: driver.expectedFids })
  driver.noteSynced()
})

const step = fc.oneof(...steps)
const options = fc.record({
  fileSize: fc.constantFrom(4096, 20_000, 60_000),
  least: fc.constantFrom(64, 700, 5000),
  prepareAhead: fc.constantFrom(1, 2000, 1 << 22),
  syncBehind: fc.constantFrom(0, 50_000, 1 << 27),
  maxEntries: fc.constantFrom(3, 20, 1_000_000),
  waiting: fc.constantFrom(undefined, 0, 30_000),
  alone: fc.constantFrom(undefined, 700, 5000, 100_000),
})

test('what is alive stays, whatever is done with gaps', async () => {
  let filled = 0
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 60 }), fc.nat(), options, async (actions, seed, { waiting, alone, ...given }) => {
      const fs = await newMemory()
      const driverOptions: GapDriverOptions = { ...given, ...(waiting === undefined ? {} : { waiting }), ...(alone === undefined ? {} : { alone }) }
      const driver = new GapDriver(fs, seed, driverOptions)
      await driver.open()
      await driver.append(20, 3000)
      for (const [, action] of actions) {
        await action(driver)
        await driver.check()
      }
      await driver.checkAll()
      await driver.reopen()
      await driver.checkAll()
      await driver.close()
      expect((driver.fs as MemoryFileSystem).openFiles, 'open handles').toBe(0)
      filled += driver.filled
    }),
    { seed: SEED, numRuns: 150 * RUNS },
  )
  expect(filled).toBeGreaterThan(500_000)
})
