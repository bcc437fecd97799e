/** The example of the README is the file that runs here. */
import { readFileSync } from 'node:fs'
import { expect, it, vi } from 'vitest'

it('the first example of the README runs', async () => {
  const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8')
  const example = readFileSync(new URL('./readme-example.ts', import.meta.url), 'utf8')
  expect(/```ts\n([\s\S]*?)```/.exec(readme)?.[1]).toBe(example)
  const log = vi.spyOn(console, 'log').mockImplementation(() => undefined)
  await import('./readme-example.js')
  expect(log.mock.calls[0]?.[0]).toMatchObject({ filesCollected: expect.any(Number) as number })
  expect(log.mock.calls[1]?.[0]).toMatch(/^value 1907 /)
  log.mockRestore()
})
