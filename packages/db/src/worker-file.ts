/**
 * The file that background threads of a database run.
 */
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'

let worker: { readonly url: URL | undefined } | undefined

/** The worker's file of this package; `undefined` where it is not built: the tree's own then does what it knows. Looked for once. */
export function ownWorker(): URL | undefined {
  worker ??= { url: findWorker() }
  return worker.url
}

function findWorker(): URL | undefined {
  try {
    return pathToFileURL(createRequire(import.meta.url).resolve('@wk/db/worker'))
  } catch {
    return undefined
  }
}
