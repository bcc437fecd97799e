/** Builds the package's sources into one module that a child process or a worker thread can import. */
import { rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const root = fileURLToPath(new URL('../..', import.meta.url))
/** Inside `node_modules`, so that the bundle finds the optional dependency. */
const outDir = join(root, 'node_modules', '.cache', 'wk-fs-test')

let built: Promise<string> | undefined

/** Path of the bundle. */
export function bundle(): Promise<string> {
  return (built ??= build())
}

async function build(): Promise<string> {
  const require = createRequire(createRequire(import.meta.url).resolve('vitest/package.json'))
  const vite = (await import(pathToFileURL(require.resolve('vite')).href)) as { build(config: object): Promise<unknown> }
  const name = `fs-${process.pid}.mjs`
  await vite.build({
    configFile: false,
    logLevel: 'error',
    root,
    ssr: { noExternal: true, resolve: { conditions: ['wk-source', 'node', 'import', 'default'] } },
    build: { ssr: 'src/index.ts', outDir, emptyOutDir: false, minify: false, rollupOptions: { output: { entryFileNames: name } } },
  })
  return join(outDir, name)
}

/** For `afterAll`. */
export async function removeBundle(): Promise<void> {
  if (built !== undefined) rmSync(await built, { force: true })
}
