/** Badger R2: a pointer was looked up, the file collected, the value then read: empty, and no error. */
import { CorruptionError } from '@wk/codec'
import { expect, it } from 'vitest'
import { readCurrent } from '../../src/index.js'
import { bytesOf, textOf } from '../support/map-index.js'
import { openMemoryLog } from '../support/memory-log.js'

it('R2: a pointer held across a pass gives its value or a typed error, never an empty value', async () => {
  const { host, gc } = await openMemoryLog()
  const pointer = await host.put('k', 'x'.repeat(500))
  await host.put('dead', 'x'.repeat(2000))
  await host.vlog.seal()
  host.delete('dead')
  const started = host.vlog.read(pointer)
  const pass = gc.run({ discardRatio: 0.5 })
  expect((await started).value).toHaveLength(500)
  await pass
  const late = await host.vlog.read(pointer).then(
    (entry) => entry.value.length,
    (error: unknown) => error,
  )
  if (late !== 500) expect(late).toBeInstanceOf(CorruptionError)
  expect(() => host.vlog.readSync(pointer)).toThrow(CorruptionError)

  let lookups = 0
  const entry = await readCurrent(
    () => (lookups++ === 0 ? pointer : host.index.lookup([bytesOf('k')])[0]),
    (each) => host.vlog.read(each),
  )
  expect(entry?.value).toHaveLength(500)
  expect(textOf(entry!.key)).toBe('k')
  await host.vlog.close()
})
