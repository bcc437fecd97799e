/**
 * Removes what earlier builds left in `dist` for sources that are gone: nothing of it may be tested or published.
 *
 * Of a package's scripts those stay that `exports` names, and what these import (`bundle-package.mjs`): a build that comes
 * out of the cache removes nothing.
 */
import { existsSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'

const COMPILED = { packages: /^(.*?)\.d\.ts(?:\.map)?$/, apps: /^(.*?)\.(?:d\.ts|js)(?:\.map)?$/ }

export function removeStaleOutputs(root) {
  for (const [parent, compiled] of Object.entries(COMPILED)) {
    for (const name of readdirSync(join(root, parent))) {
      const dir = join(root, parent, name)
      if (!existsSync(join(dir, 'dist'))) continue
      const scripts = parent === 'packages' ? bundledScripts(dir) : undefined
      for (const path of readdirSync(join(dir, 'dist'), { recursive: true })) {
        const source = compiled.exec(path)?.[1]
        const isStale = source === undefined ? scripts !== undefined && /\.js(?:\.map)?$/.test(path) && !scripts.has(path.replace(/\.map$/, '')) : !existsSync(join(dir, 'src', `${source}.ts`))
        if (isStale) rmSync(join(dir, 'dist', path))
      }
    }
  }
}

/** The scripts of a built package, by their names in `dist`. */
function bundledScripts(dir) {
  const { exports } = JSON.parse(readFileSync(join(dir, 'package.json'), 'utf8'))
  const scripts = new Set()
  const add = (name) => {
    if (scripts.has(name) || !existsSync(join(dir, 'dist', name))) return
    scripts.add(name)
    for (const [, imported] of readFileSync(join(dir, 'dist', name), 'utf8').matchAll(/^(?:import|export)\b.*? from "\.\/(shared-[\w-]+\.js)";$/gm)) add(imported)
  }
  for (const target of Object.values(exports)) if (typeof target === 'object') add(target.default.slice('./dist/'.length))
  return scripts
}
