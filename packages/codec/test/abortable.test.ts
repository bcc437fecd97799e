import { expect, test } from 'vitest'
import { AbortedError, abortable } from '../src/index.js'

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}

test('hands out what a source gives, in order, with and without a signal', async () => {
  async function* source(): AsyncGenerator<number> {
    yield* [1, 2, 3]
  }
  expect(await collect(abortable([1, 2, 3], undefined))).toEqual([1, 2, 3])
  expect(await collect(abortable(source(), new AbortController().signal))).toEqual([1, 2, 3])
  await expect(collect(abortable([1], AbortSignal.abort('before')))).rejects.toMatchObject({ code: 'WK_ABORTED', cause: 'before' })
})

test('an abort ends it while the source lets wait, and closes the source without waiting for it', async () => {
  let closed = 0
  const source: AsyncIterableIterator<number> = {
    [Symbol.asyncIterator]: () => source,
    next: () => new Promise(() => {}),
    return: () => {
      closed++
      return new Promise(() => {})
    },
  }
  const aborter = new AbortController()
  const aborted = collect(abortable(source, aborter.signal))
  setTimeout(() => aborter.abort('enough'), 1)
  const error = await aborted.catch((reason: unknown) => reason)
  expect(error).toBeInstanceOf(AbortedError)
  expect(error).toMatchObject({ cause: 'enough' })
  expect(closed).toBe(1)
})

test('whoever leaves early closes the source; what it throws then is not told, and a failure of it is', async () => {
  let closed = 0
  function* source(): Generator<number> {
    try {
      yield* [1, 2, 3]
    } finally {
      closed++
      // oxlint-disable-next-line no-unsafe-finally -- a source may
      throw new Error('at the end')
    }
  }
  for await (const item of abortable(source(), undefined)) if (item === 2) break
  expect(closed).toBe(1)
  await expect(collect(abortable(source(), undefined))).rejects.toThrow('at the end')
})
