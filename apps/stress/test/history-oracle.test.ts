import { describe, expect, it } from 'vitest'
import type { Change, HistoryEvent, Maintenance, Read, Scan, TransactionCall, TransactionStep } from '../src/history/event.js'
import { judgeHistory } from '../src/history/oracle.js'

const write = (called: number, ...changes: Change[]): HistoryEvent => ({ kind: 'write', client: 0, called, returned: called + changes.length, version: called + changes.length, changes })
const get = (at: number, ...gets: Change[]): Read => ({ kind: 'read', client: 1, by: 'get', called: at, returned: at, low: at, high: at, gets, scan: undefined })
const all = (...found: Change[]): Scan => ({ gte: '', lt: '~', reverse: false, limit: 1000, shows: 'entries', found })
const scan = (at: number, seen: Scan): Read => ({ ...get(at), by: 'an iterator', scan: seen })
const txn = (began: number, version: number | undefined, outcome: TransactionCall['outcome'], returned: number, ...steps: TransactionStep[]): HistoryEvent => ({
  kind: 'transaction', client: 2, called: began, returned, began, ready: began, version, outcome, steps,
})
const clear = (called: number, returned: number, aborted = false): HistoryEvent => ({ kind: 'clear', client: 3, called, returned, gte: '', lt: '~', aborted })
const gc = (begun: number, ended: number, refused?: string, hasSignal = false): Maintenance => ({ kind: 'maintenance', client: 4, name: 'gc', called: 0, returned: 0, begun, ended, hasSignal, refused })

describe('a history that may have been', () => {
  it.each<[string, HistoryEvent[]]>([
    ['nothing', []],
    ['a client reads what it wrote, and what another deleted', [write(0, ['a', '1']), get(1, ['a', '1']), write(1, ['a', undefined]), get(2, ['a', undefined])]],
    ['a snapshot shows its moment beside later writes', [write(0, ['a', '1']), write(1, ['a', '2']), { ...get(2, ['a', '1']), low: 1, high: 1 }]],
    ['a batch that writes a key twice', [write(0, ['a', '1'], ['a', '2']), get(2, ['a', '2'])]],
    ['iterators both ways, with a limit, over keys', [
      write(0, ['a', '1'], ['b', '2'], ['c', '3']),
      scan(3, all(['a', '1'], ['b', '2'], ['c', '3'])),
      scan(3, { ...all(['c', '3'], ['b', '2']), reverse: true, limit: 2 }),
      scan(3, { ...all(['a', undefined], ['b', undefined], ['c', undefined]), shows: 'keys' }),
      scan(3, { ...all(['b', '2']), gte: 'b', lt: 'c' }),
    ]],
    ['a checkpoint of any state between call and answer', [write(0, ['a', '1']), { ...get(1, ['a', '2']), high: 2, returned: 2 }, write(1, ['a', '2'])]],
    ['a transaction beside a write of something else', [write(0, ['a', '1']), txn(1, 3, 'committed', 3, { get: ['a', '1'] }, { put: ['c', '2'] }), write(1, ['b', '3']), get(3, ['c', '2'])]],
    ['a transaction that reads its own writes', [txn(0, 2, 'committed', 2, { put: ['a', '1'] }, { get: ['a', '1'] }, { scan: all(['a', '1']) }, { put: ['b', '2'] })]],
    ['a conflict with what was written to a key that was absent', [txn(0, undefined, 'conflict', 1, { get: ['a', undefined] }, { put: ['b', '1'] }), write(0, ['a', '2'])]],
    ['a conflict with what was written into a range', [txn(0, undefined, 'conflict', 1, { scan: all() }, { put: ['b', '1'] }), write(0, ['a', '2'])]],
    ['a key that a clear under way may have deleted', [write(0, ['a', '1'], ['b', '2']), clear(2, 6), write(2, ['x', '3'], ['y', '4']), get(4, ['a', undefined]), get(4, ['b', '2']), get(6, ['a', undefined])]],
    ['what was written after the call of a clear stays', [write(0, ['a', '1']), clear(1, 3), write(1, ['a', '2']), get(3, ['a', '2'])]],
    ['an aborted clear deleted or not', [write(0, ['a', '1']), clear(1, 2, true), get(2, ['a', '1']), get(2, ['a', undefined])]],
    ['a collection beside another, one that was aborted, one without garbage', [gc(1, 4), gc(2, 3, 'WK_GC_RUNNING'), gc(5, 6, 'WK_ABORTED', true), gc(7, 8, 'WK_NO_REWRITE')]],
  ])('%s', (_, history) => {
    expect(judgeHistory(history)).toEqual([])
  })
})

describe('a history that cannot have been', () => {
  it.each<[string, RegExp, HistoryEvent[]]>([
    ['a stale read', /a is 1 at 2/, [write(0, ['a', '1']), write(1, ['a', '2']), get(2, ['a', '1'])]],
    ['a read of what comes later', /a is 2 at 1/, [write(0, ['a', '1']), get(1, ['a', '2']), write(1, ['a', '2'])]],
    ['a read of what nobody wrote', /a is 9/, [write(0, ['a', '1']), get(1, ['a', '9'])]],
    ['a view older than the newest write', /version 1 was there before/, [write(0, ['a', '1']), get(0, ['a', undefined])]],
    ['a torn batch', /b is missing/, [write(0, ['a', '1'], ['b', '2']), scan(2, all(['a', '1']))]],
    ['a state inside of a batch', /a is 1 at 1/, [write(0, ['a', '1'], ['b', '2']), { ...get(2, ['a', '1']), low: 1, high: 1 }]],
    ['a fractured snapshot', /shows no state/, [write(0, ['a', '1'], ['b', '1b']), write(2, ['a', '2'], ['b', '2b']), { ...get(4, ['a', '1'], ['b', '2b']), low: 2, high: 2 }]],
    ['a fractured checkpoint', /shows no state/, [write(0, ['a', '1'], ['b', '1b']), { ...get(2, ['a', '1'], ['b', '2b']), high: 4, returned: 4 }, write(2, ['a', '2'], ['b', '2b'])]],
    ['a key that comes back after its deletion', /a is 1 at 2/, [write(0, ['a', '1']), write(1, ['a', undefined]), scan(2, all(['a', '1']))]],
    ['a deleted key among keys', /a is absent at 2/, [write(0, ['a', '1']), write(1, ['a', undefined]), scan(2, { ...all(['a', undefined]), shows: 'keys' })]],
    ['a key that comes back after a clear', /a is 1 at 2/, [write(0, ['a', '1']), clear(1, 2), get(2, ['a', '1'])]],
    ['a clear that takes what was written later', /a is absent/, [write(0, ['a', '1']), clear(1, 3), write(1, ['a', '2']), get(3, ['a', undefined])]],
    ['an iterator out of order', /out of order/, [write(0, ['a', '1'], ['b', '2']), scan(2, all(['b', '2'], ['a', '1']))]],
    ['an iterator beyond its range', /outside/, [write(0, ['a', '1']), scan(1, { ...all(['a', '1']), gte: 'b' })]],
    ['an iterator beyond its limit', /2 entries of 1/, [write(0, ['a', '1'], ['b', '2']), scan(2, { ...all(['a', '1'], ['b', '2']), limit: 1 })]],
    ['an iterator that skips', /b is missing/, [write(0, ['a', '1'], ['b', '2'], ['c', '3']), scan(3, { ...all(['a', '1'], ['c', '3']), limit: 2 })]],
    ['a lost update', /had changed/, [write(0, ['a', '1']), txn(1, 3, 'committed', 3, { get: ['a', '1'] }, { put: ['a', '3'] }), write(1, ['a', '2'])]],
    ['a phantom in a range that a transaction read', /had changed/, [txn(0, 2, 'committed', 2, { scan: all() }, { put: ['b', '1'] }), write(0, ['a', '2'])]],
    ['a transaction that reads beside its beginning', /not what was there/, [write(0, ['a', '1']), txn(1, undefined, 'committed', 2, { get: ['a', '2'] }), write(1, ['a', '2'])]],
    ['a transaction that does not see its own write', /not what was there/, [txn(0, 1, 'committed', 1, { put: ['a', '1'] }, { get: ['a', undefined] })]],
    ['a conflict without a cause', /refused/, [write(0, ['a', '1']), txn(1, undefined, 'conflict', 2, { get: ['a', '1'] }, { put: ['c', '2'] }), write(1, ['b', '3'])]],
    ['a refused transaction that was written', /a is 2/, [write(0, ['a', '1']), txn(1, undefined, 'conflict', 2, { get: ['a', '1'] }, { put: ['a', '2'] }), write(1, ['a', '3']), get(2, ['a', '2'])]],
    ['a transaction that stands outside of its commit', /not between/, [write(0, ['a', '1']), txn(1, 3, 'committed', 2, { put: ['b', '2'] })]],
    ['a version given twice', /given twice/, [write(0, ['a', '1']), txn(0, 1, 'committed', 1, { put: ['b', '2'] })]],
    ['a write beside its version', /went to version/, [{ ...write(0, ['a', '1']), version: 2 } as HistoryEvent]],
    ['a collection refused beside one that was over', /WK_GC_RUNNING/, [gc(1, 2, 'WK_ABORTED', true), gc(3, 4, 'WK_GC_RUNNING')]],
    ['an abort without a signal', /WK_ABORTED/, [gc(1, 2, 'WK_ABORTED')]],
    ['a collection that failed', /WK_CORRUPTION/, [gc(1, 2, 'WK_CORRUPTION')]],
  ])('%s', (_, reason, history) => {
    expect(judgeHistory(history).join('\n')).toMatch(reason)
  })
})
