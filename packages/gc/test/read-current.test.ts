import { CorruptionError, IoError, type ValuePointer } from '@wk/codec'
import { expect, it } from 'vitest'
import { readCurrent } from '../src/index.js'

const pointer = (fid: number): ValuePointer => ({ fid, offset: 20, len: 30 })
const gone = (): never => {
  throw new CorruptionError('no such file')
}

it('reads through the pointer, and nothing for an absent key', async () => {
  expect(await readCurrent(() => pointer(1), ({ fid }) => `value in ${fid}`)).toBe('value in 1')
  expect(await readCurrent(() => undefined, gone)).toBeUndefined()
})

it('an index that says `null` for an absent key', async () => {
  const read = () => Promise.reject(new Error('nothing to read'))
  expect(await readCurrent(() => null, read)).toBeUndefined()
  expect(await readCurrent(async () => null, read)).toBeUndefined()
})

it('a pointer that moved in between is followed', async () => {
  const answers = [pointer(1), pointer(2), pointer(3)]
  const read = ({ fid }: ValuePointer): string => (fid < 3 ? gone() : 'value')
  expect(await readCurrent(() => answers.shift(), read)).toBe('value')
})

it('a key that was deleted in between is absent', async () => {
  const answers = [pointer(1), undefined]
  expect(await readCurrent(() => answers.shift(), gone)).toBeUndefined()
})

it('a current pointer that cannot be read is damage, and other failures are told at once', async () => {
  await expect(readCurrent(() => pointer(1), gone)).rejects.toThrow(CorruptionError)
  const failure = new IoError('disk', { file: 'x', operation: 'read' })
  let lookups = 0
  const lookup = (): ValuePointer => pointer(++lookups)
  await expect(readCurrent(lookup, () => Promise.reject(failure))).rejects.toBe(failure)
  expect(lookups).toBe(1)
})

it('what is no function is refused: a log and a key in their place, for one', async () => {
  for (const wrong of [undefined, null, {}, 'key'] as never[]) {
    await expect(readCurrent(wrong, gone)).rejects.toMatchObject({ code: 'WK_INVALID_ARGUMENT' })
    await expect(readCurrent(() => pointer(1), wrong)).rejects.toMatchObject({ code: 'WK_INVALID_ARGUMENT' })
  }
})
