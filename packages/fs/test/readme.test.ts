import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, expect, test } from 'vitest'
import { bundle, removeBundle } from './support/bundle.js'
import { temporaryDirectory } from './support/temporary.js'

afterAll(removeBundle)

test('the example in the README runs and prints what it says', async () => {
  const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8')
  const code = /```js\n([^]*?)```/.exec(readme)?.[1] ?? ''
  const script = join(temporaryDirectory(), 'example.mjs')
  writeFileSync(script, code.replace("'@wk/fs'", `'${pathToFileURL(await bundle()).href}'`))
  const lines = execFileSync(process.execPath, [script], { encoding: 'utf8' }).trim().split('\n')
  expect(lines).toHaveLength(6)
  expect(lines.slice(0, 2)).toEqual(['P0 "synced"', 'P1 "synced not"'])
  for (const line of lines) expect(line).toMatch(/^P\d "synced/)
})
