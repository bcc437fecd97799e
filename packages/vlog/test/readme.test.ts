import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'

test('the example of the README runs', async () => {
  const readme = await readFile(join(import.meta.dirname, '..', 'README.md'), 'utf8')
  const code = /## A small host\n\n```ts\n([\s\S]*?)```/.exec(readme)?.[1]
  expect(code?.split('\n').length).toBeLessThan(60)
  const root = await mkdtemp(join(tmpdir(), 'wk-vlog-readme-'))
  const lines: unknown[] = []
  try {
    const source = join(import.meta.dirname, '..', 'src', 'index.ts')
    const body = code!
      .replace(`'@wk/vlog'`, JSON.stringify(source))
      .replaceAll('console.log(', 'lines.push(')
    const module = join(root, 'example.ts')
    await writeFile(module, `${body.split('\n')[0]}\nexport default async (dir: string, lines: unknown[]) => {\n${body.split('\n').slice(1).join('\n')}\n}\n`)
    const { default: run } = (await import(module)) as { default: (dir: string, lines: unknown[]) => Promise<void> }
    await run(join(root, 'data'), lines)
    expect(lines).toEqual(['forty-two', 32])
    await run(join(root, 'other'), lines)
  } finally {
    await rm(root, { recursive: true, force: true })
  }
})
