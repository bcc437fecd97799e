import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ReadOnlyError } from '@wk/codec'
import { expect, test } from 'vitest'
import type { ValueLog } from '../src/index.js'

interface Host {
  log: ValueLog
  put(key: string, value: string): Promise<void>
  delete(key: string): void
  get(key: string): Uint8Array | undefined
  close(): Promise<void>
}

test('the example of the README runs', async () => {
  const readme = await readFile(join(import.meta.dirname, '..', 'README.md'), 'utf8')
  const code = /## A small host\n\n```ts\n([\s\S]*?)```/.exec(readme)?.[1]
  expect(code?.split('\n').length).toBeLessThan(60)
  const root = await mkdtemp(join(tmpdir(), 'wk-vlog-readme-'))
  const lines: unknown[] = []
  try {
    const source = join(import.meta.dirname, '..', 'src', 'index.ts')
    const body = code!.replace(`'@wk/vlog'`, JSON.stringify(source)).replaceAll('console.log(', 'lines.push(').replace(`TinyStore.open('data')`, 'TinyStore.open(dir)')
    const imports = body.split('\n').filter((line) => line.startsWith('import '))
    const rest = body.split('\n').filter((line) => !line.startsWith('import '))
    const module = join(root, 'example.ts')
    const text = `${imports.join('\n')}\nexport default async (dir: string, lines: unknown[]) => {\n${rest.join('\n')}\nreturn TinyStore\n}\n`
    await writeFile(module, text)
    const { default: run } = (await import(module)) as { default: (dir: string, lines: unknown[]) => Promise<{ open(dir: string): Promise<Host> }> }
    const store = await run(join(root, 'data'), lines)
    expect(lines).toEqual(['forty-two', 32])
    let host = await store.open(join(root, 'data'))
    expect(new TextDecoder().decode(host.get('answer'))).toBe('forty-two')
    await host.put('more', 'x')
    host.delete('answer')
    await host.log.close()
    host = await store.open(join(root, 'data'))
    expect([host.get('more'), host.get('answer')?.length], 'not committed').toEqual([undefined, 9])
    host.log.abandon(new Error('a write failed'))
    await expect(host.close()).rejects.toThrow(ReadOnlyError)
    host = await store.open(join(root, 'data'))
    await host.close()
  } finally {
    await rm(root, { recursive: true, force: true })
  }
})
