/** Finds the checks: every module in `checks/`, in the order of their ids. */
import { readdirSync } from 'node:fs'
import type { Check } from './check.js'

const DIRECTORY = new URL('checks/', import.meta.url)

/** Loads all checks. Throws if a module in `checks/` exports none, or if two have the same id. */
export async function loadChecks(): Promise<Check[]> {
  const checks = new Map<string, Check>()
  for (const name of readdirSync(DIRECTORY).sort()) {
    if (!/^[a-z0-9-]+\.(js|ts)$/.test(name)) continue
    const { check } = (await import(new URL(name, DIRECTORY).href)) as { check?: Check }
    if (check === undefined) throw new Error(`checks/${name} exports no check`)
    if (checks.has(check.id)) throw new Error(`checks/${name}: there is a check ${check.id} already`)
    checks.set(check.id, check)
  }
  return [...checks.values()].sort((a, b) => (a.id < b.id ? -1 : 1))
}
