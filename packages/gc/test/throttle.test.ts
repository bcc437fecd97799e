import { AbortedError, InvalidArgumentError } from '@wk/codec'
import { ManualRuntime } from '@wk/fs'
import { describe, expect, it } from 'vitest'
import { Throttle } from '../src/index.js'

async function isPending(promise: Promise<unknown>): Promise<boolean> {
  let pending = true
  promise.then(
    () => (pending = false),
    () => (pending = false),
  )
  for (let turn = 0; turn < 20; turn++) await Promise.resolve()
  return pending
}

describe('throttle', () => {
  it('has no limit by default', async () => {
    const throttle = new Throttle(undefined, new ManualRuntime())
    await throttle.take(Number.MAX_SAFE_INTEGER)
  })

  it('holds the rate on average, for requests larger than the bucket too', async () => {
    const runtime = new ManualRuntime()
    const throttle = new Throttle(1000, runtime)
    await throttle.take(100)
    const large = throttle.take(5000)
    expect(await isPending(large)).toBe(true)
    await runtime.advance(4900)
    expect(await isPending(large)).toBe(true)
    await runtime.advance(101)
    expect(await isPending(large)).toBe(false)
  })

  it('does not save up more than a tenth of a second', async () => {
    const runtime = new ManualRuntime()
    const throttle = new Throttle(1000, runtime)
    await runtime.advance(60_000)
    await throttle.take(100)
    expect(await isPending(throttle.take(1))).toBe(true)
  })

  it('waits longer than one sleep may be', async () => {
    const runtime = new ManualRuntime()
    const slow = new Throttle(1, runtime).take(200)
    await runtime.advance(150_000)
    expect(await isPending(slow)).toBe(true)
    await runtime.advance(60_000)
    expect(await isPending(slow)).toBe(false)
  })

  it('a wait ends with the signal', async () => {
    const runtime = new ManualRuntime()
    const abort = new AbortController()
    const waiting = new Throttle(1, runtime).take(1000, abort.signal)
    waiting.catch(() => undefined)
    expect(await isPending(waiting)).toBe(true)
    abort.abort()
    await expect(waiting).rejects.toThrow(AbortedError)
    expect(runtime.sleeping).toBe(0)
    await expect(new Throttle(undefined, runtime).take(1, abort.signal)).rejects.toThrow(AbortedError)
  })

  it('takes a new rate with the next request', async () => {
    const runtime = new ManualRuntime()
    const throttle = new Throttle(undefined, runtime)
    throttle.setRate(1000)
    expect(await isPending(throttle.take(1000))).toBe(true)
    await runtime.advance(1000)
    throttle.setRate(undefined)
    expect(await isPending(throttle.take(1_000_000))).toBe(false)
  })

  it.each([0, -1, Number.NaN, 'fast' as unknown as number])('refuses %s bytes a second', (rate) => {
    expect(() => new Throttle(rate, new ManualRuntime())).toThrow(InvalidArgumentError)
  })
})
