import { AbortedError } from '@wk/codec'
import { describe, expect, test } from 'vitest'
import { defaultRuntime, ManualRuntime, TimeSlice } from '../src/index.js'

describe('default runtime', () => {
  test('sleeps, yields, and stops sleeping when aborted', async () => {
    const start = defaultRuntime.monotonic()
    await defaultRuntime.sleep(20)
    expect(defaultRuntime.monotonic() - start).toBeGreaterThanOrEqual(18)
    await defaultRuntime.yield()
    const controller = new AbortController()
    const sleep = defaultRuntime.sleep(60_000, controller.signal)
    controller.abort()
    await expect(sleep).rejects.toBeInstanceOf(AbortedError)
    await expect(defaultRuntime.sleep(1, controller.signal)).rejects.toBeInstanceOf(AbortedError)
    expect(Math.abs(defaultRuntime.now() - Date.now())).toBeLessThan(1000)
    expect(defaultRuntime.random()).toBeLessThan(1)
    await new Promise<void>((resolve) => defaultRuntime.microtask(resolve))
  })
})

describe('manual runtime', () => {
  test('moves only when told, and wakes sleepers in order of time', async () => {
    const runtime = new ManualRuntime({ now: 1000 })
    const woken: string[] = []
    const sleep = (name: string, ms: number): Promise<void> => runtime.sleep(ms).then(() => void woken.push(`${name}@${runtime.now()}`))
    const all = Promise.all([sleep('c', 30), sleep('a', 10), sleep('b', 10).then(() => sleep('d', 5))])
    await runtime.yield()
    expect([runtime.now(), runtime.sleeping, woken]).toEqual([1000, 3, []])
    await runtime.advance(9)
    expect(woken).toEqual([])
    await runtime.advance(21)
    await all
    expect(woken).toEqual(['a@1010', 'b@1010', 'd@1015', 'c@1030'])
    expect([runtime.now(), runtime.monotonic(), runtime.sleeping]).toEqual([1030, 30, 0])
  })

  test('an aborted sleeper is gone', async () => {
    const runtime = new ManualRuntime()
    const controller = new AbortController()
    const sleep = runtime.sleep(10, controller.signal)
    const refused = expect(sleep).rejects.toBeInstanceOf(AbortedError)
    controller.abort()
    await refused
    expect(runtime.sleeping).toBe(0)
    await expect(runtime.sleep(10, controller.signal)).rejects.toBeInstanceOf(AbortedError)
  })

  test('random numbers follow the seed', () => {
    const numbers = (seed: number): number[] => {
      const runtime = new ManualRuntime({ seed })
      return Array.from({ length: 5 }, () => runtime.random())
    }
    expect(numbers(1)).toEqual(numbers(1))
    expect(numbers(1)).not.toEqual(numbers(2))
    expect(numbers(3).every((number) => number >= 0 && number < 1)).toBe(true)
  })
})

test('a time slice is due after its budget and starts anew after a pause', async () => {
  const runtime = new ManualRuntime({ yieldMs: 1 })
  const slice = new TimeSlice(runtime, 4)
  await runtime.advance(3)
  expect(slice.due()).toBe(false)
  await runtime.advance(1)
  expect(slice.due()).toBe(true)
  await slice.pause()
  expect(slice.due()).toBe(false)
  expect(runtime.monotonic()).toBe(5)
})
