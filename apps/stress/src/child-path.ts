/** Where the script of a child process lies: in the build, also when this runs from its sources, as in tests. */
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** @param name relative to this directory: `limits/limit-child.js`. Throws if it is not built. */
export function childPath(name: string): string {
  const path = fileURLToPath(new URL(name, import.meta.url.replace(/\/src\/([^/]*)$/, '/dist/$1')))
  if (!existsSync(path)) throw new Error(`${path} is missing: build first`)
  return path
}
