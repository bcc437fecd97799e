/**
 * Packs every published package into a temporary directory, once for all tests, and removes it at the end.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestProject } from 'vitest/node'
import { removeStaleOutputs } from '../stale-outputs.mjs'
import { ROOT, packAll } from './published.js'
import type { Published } from './published.js'

declare module 'vitest' {
  interface ProvidedContext {
    published: Published[]
  }
}

export default async function setup(project: TestProject): Promise<() => void> {
  removeStaleOutputs(ROOT)
  const tarballs = mkdtempSync(join(tmpdir(), 'wk-tarballs-'))
  project.provide('published', await packAll(tarballs))
  return () => rmSync(tarballs, { recursive: true, force: true })
}
