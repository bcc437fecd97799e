/** Where the script of a child process or thread lies: bundled, in the build, also when this runs from its sources, as in tests. */
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** The bundled scripts (`bundle.ts`); `worker` is the one of `@wk/db/worker`. */
export type ChildName = 'kill-child' | 'limit-child' | 'lock-child' | 'worker'

/** Throws if it is not built. */
export function childPath(name: ChildName): string {
  const path = fileURLToPath(new URL(`bundled/${name}.mjs`, import.meta.url.replace(/\/src\/([^/]*)$/, '/dist/$1')))
  if (!existsSync(path)) throw new Error(`${path} is missing: build first`)
  return path
}
