/** Work under way is waited for once, whatever becomes of it. */
import { expect, test } from 'vitest'
import { UnderWay } from '../src/index.js'

function withResolvers(): { promise: Promise<number>; resolve: (value: number) => void; reject: (error: Error) => void } {
  let resolve!: (value: number) => void
  let reject!: (error: Error) => void
  const promise = new Promise<number>((done, fail) => ([resolve, reject] = [done, fail]))
  return { promise, resolve, reject }
}

test('settles when all that was added before has, a failure included, and not for what comes later', async () => {
  const underWay = new UnderWay()
  await underWay.settled()
  const [first, second, later] = [withResolvers(), withResolvers(), withResolvers()]
  const work = underWay.add(first.promise)
  const failing = underWay.add(second.promise)
  let hasSettled = false
  const settled = underWay.settled().then(() => (hasSettled = true))
  void underWay.add(later.promise)
  first.resolve(1)
  expect(await work).toBe(1)
  expect(hasSettled).toBe(false)
  second.reject(new Error('failed'))
  await settled
  await expect(failing).rejects.toThrow('failed')
  later.resolve(3)
  await underWay.settled()
})
