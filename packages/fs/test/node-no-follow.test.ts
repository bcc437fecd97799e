/** Where the system cannot refuse symbolic links as it opens, as on Windows, they are looked for first. */
import * as nodeFs from 'node:fs'
import { join } from 'node:path'
import { errnoOf, IoError } from '@wk/codec'
import { expect, test, vi } from 'vitest'
import { NodeFileSystem } from '../src/index.js'
import { temporaryDirectory } from './support/temporary.js'

vi.mock('node:fs', async (load) => {
  const actual = await load<typeof nodeFs>()
  return { ...actual, constants: { ...actual.constants, O_NOFOLLOW: undefined } }
})

test.runIf(process.platform !== 'win32')('symbolic links are refused without O_NOFOLLOW, and files are opened', async () => {
  const fs = new NodeFileSystem()
  const dir = temporaryDirectory()
  nodeFs.writeFileSync(join(dir, 'real'), 'x')
  nodeFs.symlinkSync(join(dir, 'real'), join(dir, 'good'))
  nodeFs.symlinkSync(join(dir, 'nowhere'), join(dir, 'dangling'))
  for (const name of ['good', 'dangling']) {
    for (const mode of ['read', 'update'] as const) {
      const error = await fs.open(join(dir, name), mode).then(() => undefined, (reason: unknown) => reason)
      expect(error).toBeInstanceOf(IoError)
      expect(errnoOf(error)).toBe('ELOOP')
      expect(() => fs.openSync(join(dir, name), mode)).toThrow(IoError)
    }
  }
  const file = await fs.open(join(dir, 'real'), 'read')
  expect(await file.size()).toBe(1)
  await file.close()
  expect(nodeFs.readdirSync(dir).sort()).toEqual(['dangling', 'good', 'real'])
  expect(nodeFs.readFileSync(join(dir, 'real'), 'utf8')).toBe('x')
})
