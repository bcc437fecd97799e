/** F2: every field of every file set to every number that must not be believed. */
import { hostileFields } from '@wk/testkit'
import type { Check } from '../check.js'
import { HostileCases, MAX_PARSE_MS } from '../hostile.js'
import { parse, victims } from '../parsers.js'

/** All places of all parts: a length, a count or an offset is among them. */
export const check: Check = {
  id: 'F2',
  title: 'every place of every structure set to 0, 1, 2^31-1, 2^31, 2^32-1, 2^53, overlong varints, sums put right',
  means: 'as F1: refused before anything is allocated',
  unit: 'fields',
  cases: { commit: Infinity, nightly: Infinity, release: Infinity },
  async run({ cases, only }, seed, report) {
    const files = await victims()
    let total = 0
    for (const { name, bytes } of files) for (const _ of hostileFields(name, bytes)) total++
    const stride = Math.max(1, Math.floor(total / cases))
    const hostile = new HostileCases(report, MAX_PARSE_MS)
    let index = -1
    for (const victim of files) {
      for (const bytes of hostileFields(victim.name, victim.bytes)) {
        index++
        if (only === undefined ? (index + seed) % stride !== 0 : index !== Number(only)) continue
        if (report.full) return
        await hostile.run(`${victim.name}, field ${index}`, String(index), () => parse(victim, bytes))
      }
    }
    hostile.note()
  },
}
