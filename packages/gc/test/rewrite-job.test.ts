import { ConflictError, CorruptionError, InvalidArgumentError, IoError, NotSupportedError } from '@wk/codec'
import { defaultRuntime } from '@wk/fs'
import { describe, expect, it } from 'vitest'
import { Throttle, type PointerIndex } from '../src/index.js'
import { rewriteFile } from '../src/rewrite-job.js'
import { FakeLog } from './support/fake-log.js'
import { MapHost, MapIndex, bytesOf, textOf } from './support/map-index.js'

async function filled(values: Record<string, string>): Promise<MapHost<FakeLog>> {
  const host = new MapHost(new FakeLog(1_000_000))
  for (const [key, value] of Object.entries(values)) await host.put(key, value)
  await host.vlog.seal()
  return host
}

function rewrite(host: MapHost<FakeLog>, index: PointerIndex = host.index): ReturnType<typeof rewriteFile> {
  const victim = host.vlog.files()[0]
  if (victim === undefined) throw new Error('no file')
  return rewriteFile({ vlog: host.vlog, index, throttle: new Throttle(undefined, defaultRuntime) }, victim)
}

describe('rewriting one file', () => {
  it('moves what is current, leaves the rest, gives the file up', async () => {
    const host = await filled({ a: '1', b: '2', c: '3' })
    host.delete('b')
    await host.put('c', '4')
    expect(await rewrite(host)).toMatchObject({ records: 3, moved: 1, bytesLost: 0 })
    expect(host.vlog.retired).toEqual([1])
    expect(textOf(host.vlog.read(host.index.map.get('a')!))).toBe('1')
    expect(host.index.map.has('b')).toBe(false)
    expect(textOf(host.vlog.read(host.index.map.get('c')!))).toBe('4')
  })

  it('appends, syncs, swaps, syncs, swaps nothing, retires: in this order', async () => {
    const host = await filled({ a: '1', b: '2' })
    const order = host.vlog.calls
    order.length = 0
    const index: PointerIndex = {
      lookup: (keys) => host.index.lookup(keys),
      compareAndSwap: (moves) => {
        order.push(`swap ${moves.length}`)
        expect(moves.every(({ to }) => host.vlog.isSynced(to))).toBe(true)
        return host.index.compareAndSwap(moves)
      },
    }
    await rewrite(host, index)
    expect(order).toEqual(['append', 'sync', 'swap 2', 'sync', 'swap 0', 'retire 1'])
  })

  it('a file without any live record costs no append', async () => {
    const host = await filled({ a: '1' })
    host.delete('a')
    host.vlog.calls.length = 0
    await rewrite(host)
    expect(host.vlog.calls).toEqual(['sync', 'retire 1'])
  })

  it('a survivor keeps key, value, version, user meta and expiry', async () => {
    const vlog = new FakeLog(10)
    const index = new MapIndex()
    const entry = { key: bytesOf('k'), value: bytesOf('v'), version: 7, meta: 0x08, userMeta: 9, expiresAt: 1234 }
    index.map.set('k', (await vlog.append([entry]))[0]!)
    await rewrite(new MapHost(vlog, index))
    for await (const placed of vlog.iterate(2)) expect(placed.entry).toMatchObject(entry)
    expect(index.map.get('k')?.fid).toBe(2)
  })

  it('looks each key up once, in byte order, in batches', async () => {
    const host = new MapHost(new FakeLog(10_000_000))
    for (let n = 0; n < 1500; n++) await host.put(`k${(n * 37) % 1100}`, `${n}`)
    await host.vlog.seal()
    await rewrite(host)
    expect(host.index.lookups.length).toBe(2)
    for (const keys of host.index.lookups) {
      expect(keys.length).toBeLessThanOrEqual(1024)
      expect(keys).toEqual([...new Set(keys)].sort())
    }
    // Pointers move in the same order.
    for (const moves of host.index.swaps) expect(moves.map(({ key }) => textOf(key))).toEqual(moves.map(({ key }) => textOf(key)).sort())
    expect(host.index.map.size).toBe(1100)
    for (const pointer of host.index.map.values()) expect(pointer.fid).toBe(2)
  })

  it('only the current one of several records of a key moves', async () => {
    const host = new MapHost(new FakeLog(1_000_000))
    for (let n = 0; n < 5; n++) await host.put('k', `version ${n}`)
    await host.vlog.seal()
    expect(await rewrite(host)).toMatchObject({ records: 5, moved: 1 })
    expect(textOf(host.vlog.read(host.index.map.get('k')!))).toBe('version 4')
  })

  it('bounds a slice by bytes as well', async () => {
    const host = new MapHost(new FakeLog(100_000_000))
    for (let n = 0; n < 5; n++) await host.put(`k${n}`, 'x'.repeat(3 << 20))
    await host.vlog.seal()
    await rewrite(host)
    expect(host.index.lookups.map((keys) => keys.length)).toEqual([2, 2, 1])
  })

  it('the copy that lost its swap counts as garbage, the record that moved too', async () => {
    const host = await filled({ a: '1', b: '2' })
    const from = { ...host.index.map.get('b')! }
    const index: PointerIndex = {
      lookup: (keys) => host.index.lookup(keys),
      compareAndSwap: (moves) => {
        if (moves.length === 2) host.delete('a')
        return host.index.compareAndSwap(moves)
      },
    }
    const result = await rewrite(host, index)
    expect(result).toMatchObject({ moved: 1, bytesLost: 11 })
    expect(host.vlog.discarded).toContainEqual(from)
    expect(host.vlog.discarded.filter(({ fid }) => fid === 2)).toHaveLength(1)
  })
})

describe('rewriting one file: hosts that misbehave', () => {
  it('a swap refused although the pointer is current is tried again', async () => {
    const host = await filled({ a: '1', b: '2' })
    let refusals = 2
    await rewrite(host, {
      lookup: (keys) => host.index.lookup(keys),
      compareAndSwap: (moves) => (moves.length > 0 && refusals-- > 0 ? moves.map(() => false) : host.index.compareAndSwap(moves)),
    })
    expect(host.index.map.get('a')?.fid).toBe(2)
    expect(host.vlog.retired).toEqual([1])
  })

  it('a host that never lets go keeps its file', async () => {
    const host = await filled({ a: '1' })
    const stubborn: PointerIndex = {
      lookup: (keys) => host.index.lookup(keys),
      compareAndSwap: (moves) => moves.map(() => false),
    }
    await expect(rewrite(host, stubborn)).rejects.toThrow(ConflictError)
    expect(host.vlog.retired).toEqual([])
    expect(textOf(host.vlog.read(host.index.map.get('a')!))).toBe('1')
    expect(host.vlog.discarded).toHaveLength(1)
  })

  it('a swap that says no and did it anyway is not counted as garbage', async () => {
    const host = await filled({ a: '1' })
    const result = await rewrite(host, {
      lookup: (keys) => host.index.lookup(keys),
      compareAndSwap: (moves) => host.index.compareAndSwap(moves).map(() => false),
    })
    expect(result).toMatchObject({ moved: 1, bytesLost: 0 })
    expect(host.vlog.discarded.every(({ fid }) => fid === 1)).toBe(true)
  })

  it('a swap that failed leaves no garbage uncounted: of each move the side that the index does not point to', async () => {
    const host = await filled({ a: '1', b: '2' })
    const error = await rewrite(host, {
      lookup: (keys) => host.index.lookup(keys),
      compareAndSwap: (moves) => {
        host.index.compareAndSwap(moves.slice(0, 1))
        throw new NotSupportedError('half of it')
      },
    }).catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(NotSupportedError)
    expect(host.vlog.discarded.map(({ fid }) => fid).sort()).toEqual([1, 2])
    for (const pointer of host.vlog.discarded) for (const current of host.index.map.values()) expect(pointer).not.toEqual(current)
    expect(host.vlog.retired).toEqual([])
  })

  const misshapen: [string, Partial<PointerIndex>][] = [
    ['too few pointers', { lookup: () => [] }],
    ['no array', { lookup: () => undefined as never }],
    ['no pointers', { lookup: (keys) => keys.map(() => 'x' as never) }],
    ['negative numbers for a pointer', { lookup: (keys) => keys.map(() => ({ fid: -1, offset: -1, len: -1 })) }],
    ['a pointer to no file', { lookup: (keys) => keys.map(() => ({ fid: 0, offset: 0, len: 0 })) }],
    ['too many booleans', { compareAndSwap: (moves) => [...moves.map(() => true), true] }],
    ['no booleans', { compareAndSwap: (moves) => moves.map(() => 1 as never) }],
    ['no array of booleans', { compareAndSwap: () => undefined as never }],
  ]
  it.each(misshapen)('answers of the wrong shape stop the job: %s', async (_name, broken) => {
    const host = await filled({ a: '1' })
    const index: PointerIndex = {
      lookup: (keys) => host.index.lookup(keys),
      compareAndSwap: (moves) => host.index.compareAndSwap(moves),
      ...broken,
    }
    await expect(rewrite(host, index)).rejects.toThrow(InvalidArgumentError)
    expect(host.vlog.retired).toEqual([])
  })

  it('null stands for undefined', async () => {
    const host = await filled({ a: '1' })
    await rewrite(host, { lookup: (keys) => keys.map(() => null as never), compareAndSwap: () => [] })
    expect(host.vlog.retired).toEqual([1])
  })

  it.each(['lookup', 'compareAndSwap'] as const)('what %s throws leaves as a WkError and keeps the file', async (call) => {
    const host = await filled({ a: '1' })
    const failure = new Error('transaction aborted')
    const index: PointerIndex = { lookup: (keys) => host.index.lookup(keys), compareAndSwap: (m) => host.index.compareAndSwap(m) }
    index[call] = () => Promise.reject<never>(failure)
    const error = await rewrite(host, index).catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(IoError)
    expect((error as IoError).cause).toBe(failure)
    index[call] = () => Promise.reject<never>(new NotSupportedError('no'))
    await expect(rewrite(host, index)).rejects.toThrow(NotSupportedError)
    expect(host.vlog.retired).toEqual([])
  })
})

describe('rewriting one file: the log fails', () => {
  it.each(['append', 'sync', 'retire'] as const)('%s: the file is kept, every key reads its value', async (call) => {
    const host = await filled({ a: '1', b: '2' })
    host.vlog.failNext[call] = new IoError('disk', { file: 'x', operation: call })
    await expect(rewrite(host)).rejects.toThrow(IoError)
    expect(host.vlog.retired).toEqual([])
    expect(textOf(host.vlog.read(host.index.map.get('a')!))).toBe('1')
    expect(textOf(host.vlog.read(host.index.map.get('b')!))).toBe('2')
  })

  it('no pointer moves to a copy whose sync failed', async () => {
    const host = await filled({ a: '1' })
    host.vlog.failNext.sync = new IoError('disk', { file: 'x', operation: 'sync' })
    await expect(rewrite(host)).rejects.toThrow(IoError)
    expect(host.index.swaps).toEqual([])
  })

  it('damage stops the job and keeps the file', async () => {
    const host = await filled({ a: '1', b: '2', c: '3' })
    host.vlog.damage(1, 1)
    await expect(rewrite(host)).rejects.toThrow(CorruptionError)
    expect(host.vlog.retired).toEqual([])
    for (const pointer of host.index.map.values()) expect(pointer.fid).toBe(1)
  })

  it('records that end before the file does are damage, not its end', async () => {
    const host = await filled({ a: '1', b: '2' })
    const whole = host.vlog.iterate.bind(host.vlog)
    host.vlog.iterate = async function* (fid) {
      for await (const placed of whole(fid)) {
        yield placed
        return
      }
    }
    const error = await rewrite(host).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ code: 'WK_CORRUPTION', file: '000001.vlog', offset: 31 })
    host.vlog.iterate = async function* () {}
    expect(await rewrite(host).catch((thrown: unknown) => thrown)).toMatchObject({ code: 'WK_CORRUPTION' })
    expect(host.vlog.retired).toEqual([])
  })
})
