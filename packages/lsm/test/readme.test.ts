/** The example of the README runs and prints what its comments say. */
import { readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import * as fs from '@wk/fs'
import * as lsm from '../src/index.js'
import { stripTypeScriptTypes } from './readme-support.js'

test('the example of the README', async () => {
  const readme = await readFile(new URL('../README.md', import.meta.url), 'utf8')
  const code = /```ts\n([\s\S]*?)```/.exec(readme)?.[1] ?? ''
  const printed: string[] = []
  // oxlint-disable-next-line typescript/no-implied-eval -- the example of our own README
  const run = new Function('modules', 'console', `return (async () => {${stripTypeScriptTypes(code)}})()`) as (modules: unknown, console: unknown) => Promise<void>
  await run({ '@wk/fs': fs, '@wk/lsm': lsm }, { log: (...parts: unknown[]) => printed.push(parts.join(' ')) })
  const promised = [...code.matchAll(/\/\/ (.*)$/gm)].map(([, comment]) => comment).filter((comment) => comment !== undefined && !/^Real files|^survives|^all or/.test(comment))
  expect(printed.join(', ')).toBe(promised.join(', '))
})
