/**
 * Every optional package may be absent: the build then does the same without it. `npm run runtimes` asks this of other
 * runtimes, too.
 */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { ROOT } from '../published.js'

const runtimes = join(ROOT, 'tooling', 'runtimes')

interface Told {
  lock: string
  lz4: boolean
  crc32: boolean
  warnings: string[]
}

test.each([
  { without: '', lock: /^(native|socket|pidfile)$/, lz4: true, crc32: true },
  { without: 'lz4-napi,@node-rs/crc32,fs-native-extensions', lock: /^(socket|pidfile)$/, lz4: false, crc32: false },
])('a database does all it has to without "$without"', async ({ without, lock, lz4, crc32 }) => {
  expect(existsSync(join(ROOT, 'packages/level/dist/index.js')), 'this test runs the build: build first').toBe(true)
  const env = { ...process.env, WK_WITHOUT: without, NODE_OPTIONS: `--require ${join(runtimes, 'without.cjs')}` }
  const { stdout } = await promisify(execFile)(process.execPath, [join(runtimes, 'smoke.mjs')], { env })
  const told = JSON.parse(stdout.trim().split('\n').at(-1) as string) as Told
  expect(told).toMatchObject({ lock: expect.stringMatching(lock) as string, lz4, crc32, warnings: [] })
})
