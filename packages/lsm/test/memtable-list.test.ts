/** Which arenas a list of memtables keeps: one for use again while writing goes on, none at rest. */
import { KIND_VALUE } from '@wk/codec'
import { describe, expect, test } from 'vitest'
import { MemtableList } from '../src/memtable-list.js'
import { text } from './engine-support.js'

const CAPACITY = 64 * 1024
const nobody = (): boolean => false

/** A list that has taken one entry. */
function written(): MemtableList {
  const list = new MemtableList(CAPACITY)
  list.rotate(CAPACITY)
  list.active.memtable.add(text('a'), 1, KIND_VALUE, text('1'))
  return list
}

describe('the arena of a flushed memtable', () => {
  test('is used again while writing goes on', () => {
    const list = written()
    const sealed = list.rotate(CAPACITY)
    list.drop(sealed)
    list.recycle(nobody)
    list.rotate(CAPACITY)
    expect(list.active.memtable.buffer).toBe(sealed.memtable.buffer)
    expect(list.active.memtable.count).toBe(0)
  })

  test('is given up at rest', () => {
    const list = written()
    const sealed = list.rotate(0)
    list.drop(sealed)
    list.recycle(nobody)
    list.rotate(CAPACITY)
    expect(list.active.memtable.buffer).not.toBe(sealed.memtable.buffer)
  })

  test('is given up at rest when it was kept before', () => {
    const list = written()
    const first = list.rotate(CAPACITY)
    list.active.memtable.add(text('b'), 2, KIND_VALUE, text('2'))
    list.drop(first)
    list.recycle(nobody)
    const second = list.rotate(0)
    list.drop(second)
    list.recycle(nobody)
    list.rotate(CAPACITY)
    expect([first.memtable.buffer, second.memtable.buffer]).not.toContain(list.active.memtable.buffer)
  })

  test('stays with whoever reads it', () => {
    const list = written()
    const sealed = list.rotate(CAPACITY)
    list.drop(sealed)
    list.recycle((memtable) => memtable === sealed.memtable)
    list.rotate(CAPACITY)
    expect(list.active.memtable.buffer).not.toBe(sealed.memtable.buffer)
  })
})
