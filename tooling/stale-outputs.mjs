/**
 * Removes what the compiler left in `dist` for sources that are gone: nothing of it may be tested or published.
 * The JavaScript of a package is not the compiler's: `bundle-package.mjs` writes all of it anew.
 */
import { existsSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'

const COMPILED = { packages: /^(.*?)\.d\.ts(?:\.map)?$/, apps: /^(.*?)\.(?:d\.ts|js)(?:\.map)?$/ }

export function removeStaleOutputs(root) {
  for (const [parent, compiled] of Object.entries(COMPILED)) {
    for (const name of readdirSync(join(root, parent))) {
      const dir = join(root, parent, name)
      if (!existsSync(join(dir, 'dist'))) continue
      for (const path of readdirSync(join(dir, 'dist'), { recursive: true })) {
        const source = compiled.exec(path)?.[1]
        if (source !== undefined && !existsSync(join(dir, 'src', `${source}.ts`))) rmSync(join(dir, 'dist', path))
      }
    }
  }
}
