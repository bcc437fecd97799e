/** No table of the plain engine is published while a group in it is still being written (docs/adr/0028). */
import { FaultFileSystem, MemoryFileSystem } from '@wk/fs'
import { HoldingFileSystem } from '@wk/testkit'
import { setImmediate as turn } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { PlainEngine } from '../src/index.js'
import { DIR, smallOptions, text } from './engine-support.js'

it('law 9: a failed sync of a write hides nothing that was acknowledged before it', async () => {
  const fault = new FaultFileSystem(new MemoryFileSystem())
  const fs = new HoldingFileSystem(fault)
  const engine = await PlainEngine.open(DIR, smallOptions(fs))
  await engine.put(text('k'), text('first'))
  fs.hold = ({ kind, path }) => kind === 'sync' && path.endsWith('.wal')
  const second = engine.put(text('k'), text('second'), { sync: true }).then(() => 'written', () => 'refused')
  const flushed = Promise.allSettled([turn().then(() => engine.flush())])
  for (let i = 0; i < 1000; i++) await turn()
  expect(fs.held.length).toBeGreaterThan(0)
  fault.add({ operation: ['sync'], path: /\.wal$/, errno: 'EIO', times: Infinity })
  fs.release()
  expect(await second).toBe('refused')
  await flushed
  const found = engine.get(text('k'))
  expect(found === undefined ? 'nothing' : Buffer.from(found).toString()).toBe('first')
  await engine.close()
})
