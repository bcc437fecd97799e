/** F3: whole databases that somebody prepared. */
import { DB } from '@wk/db'
import { cleanSpecimen, hostileImage, MAX_PROBE_MS, mountImage, Rng, uncleanSpecimen } from '@wk/testkit'
import type { Check } from '../check.js'
import { DIR, gappedSubject, holedSubject, open } from '../damage.js'
import { attempt, HostileCases } from '../hostile.js'

/** Opened, read, verified, collected, compacted, written to, repaired. */
export const check: Check = {
  id: 'F3',
  title: 'hostile whole-database images through open, reads, verify, gc, compact, put and repair',
  means: 'typed errors only, at most 2 s and 64 MiB a case',
  unit: 'images',
  cases: { commit: 100, nightly: 5000, release: 50_000 },
  async run({ cases, only }, seed, report) {
    const specimens = [await cleanSpecimen(DIR, open), await uncleanSpecimen(DIR, open), (await holedSubject()).specimen, (await gappedSubject()).specimen]
    const hostile = new HostileCases(report, MAX_PROBE_MS)
    for (let i = only === undefined ? 0 : Number(only); i < (only === undefined ? cases : Number(only) + 1) && !report.full; i++) {
      const rng = new Rng(seed * 2 ** 24 + i)
      const { image, keys } = rng.pick(specimens)
      const prepared = hostileImage(image, rng)
      await hostile.run(`image ${i}`, String(i), async () => {
        const fs = await mountImage(prepared, DIR)
        const db = await attempt(() => open(fs))
        if (db !== undefined) {
          for (const key of keys) await attempt(() => db.get(key))
          await attempt(async () => {
            for await (const _ of db.iterator());
          })
          await attempt(() => db.verify())
          await attempt(() => db.compact())
          await attempt(() => db.gc())
          await attempt(() => db.put('more', new Uint8Array(100)))
          await attempt(() => db.close())
        }
        const again = await mountImage(prepared, DIR)
        await attempt(() => DB.repair(DIR, { to: '/saved', fs: again }))
      })
    }
    hostile.note()
  },
}
