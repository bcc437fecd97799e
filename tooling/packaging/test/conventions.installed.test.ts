/**
 * What publint and "are the types wrong" say of each tarball: nothing. Both as their own users run them.
 */
import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { publint } from 'publint'
import { formatMessage } from 'publint/utils'
import { describe, expect, inject, it } from 'vitest'

const ATTW = join(import.meta.dirname, '..', '..', 'node_modules', '@arethetypeswrong', 'cli', 'dist', 'index.js')

describe.each(inject('published'))('$name', ({ tarball }) => {
  it('is clean for publint', async () => {
    const bytes = await readFile(tarball)
    const { messages, pkg } = await publint({ pack: { tarball: bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) }, strict: true })
    expect(messages.map((message) => formatMessage(message, pkg))).toEqual([])
  })

  it('has types that are right for modules, also when required', async () => {
    const failure = await promisify(execFile)(process.execPath, [ATTW, tarball, '--profile', 'esm-only', '--format', 'ascii', '--no-color']).then(() => '', ({ stdout }: { stdout: string }) => stdout)
    expect(failure).toBe('')
  })
})
