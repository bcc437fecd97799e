import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { diskUsage } from '../src/measure/disk-usage.js'
import { LatencyRecorder } from '../src/measure/latency.js'
import { LoopDelayMonitor } from '../src/measure/loop-delay.js'
import { Meter } from '../src/measure/meter.js'
import { readProcessIo } from '../src/measure/process-io.js'
import { TimeSlice } from '../src/measure/time-slice.js'
import { temporaryDirectory } from './temporary-directory.js'

function hold(milliseconds: number): void {
  for (const end = performance.now() + milliseconds; performance.now() < end; );
}

describe('measuring', () => {
  it('finds percentiles', () => {
    const recorder = new LatencyRecorder()
    expect(recorder.summarize('put')).toBeNull()
    for (let i = 1; i <= 5000; i++) recorder.add(i / 1000)
    const summary = recorder.summarize('put')
    expect(summary).toMatchObject({ of: 'put', count: 5000 })
    expect(summary?.p50).toBeCloseTo(2500, -2)
    expect(summary?.p99).toBeCloseTo(4950, -2)
    expect(summary?.max).toBeCloseTo(5000, -2)
    expect(recorder.total).toBeCloseTo(12_502.5, 1)
  })

  it('sees a held event loop, also right at the start, and none when idle', async () => {
    const held = new LoopDelayMonitor()
    await held.start()
    hold(60)
    expect((await held.stop()).max).toBeGreaterThan(50)
    const idle = new LoopDelayMonitor()
    await idle.start()
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect((await idle.stop()).p99).toBeLessThan(40)
  })

  it('counts pauses as time of the phase, and time outside calls not', async () => {
    const slice = new TimeSlice(1)
    const meter = await Meter.start(slice)
    meter.add(5, 10, 1000)
    hold(30)
    const pause = slice.pause()
    setImmediate(() => hold(20))
    await pause
    await slice.pause()
    const { seconds, operations, bytes } = await meter.stop('batch')
    expect({ operations, bytes }).toEqual({ operations: 10, bytes: 1000 })
    expect(seconds).toBeGreaterThan(0.024)
    expect(seconds).toBeLessThan(0.05)
  })

  it('counts the processor time of the process', async () => {
    const meter = await Meter.start(new TimeSlice())
    hold(50)
    const { cpuSeconds } = await meter.stop('put')
    expect(cpuSeconds).toBeGreaterThan(0.005)
    expect(cpuSeconds).toBeLessThan(5)
  })

  it('takes the clock for overlapping calls', async () => {
    const meter = await Meter.start(new TimeSlice())
    for (let i = 0; i < 10; i++) meter.add(100, 1, 1)
    meter.setClock(120)
    expect((await meter.stop('put')).seconds).toBeCloseTo(0.12)
  })

  it('counts disk space and bytes written', () => {
    const dir = temporaryDirectory()
    const before = readProcessIo()
    mkdirSync(join(dir, 'nested'))
    writeFileSync(join(dir, 'nested', 'file'), Buffer.alloc(100_000, 1))
    expect(diskUsage(dir)).toBeGreaterThanOrEqual(100_000)
    expect(diskUsage(dir)).toBeLessThan(140_000)
    expect(diskUsage(join(dir, 'missing'))).toBe(0)
    if (before !== null) expect((readProcessIo()?.handed ?? 0) - before.handed).toBeGreaterThanOrEqual(100_000)
  })
})
