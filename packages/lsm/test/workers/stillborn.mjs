/** The real worker, the first thread of which ends before it can work: WK_STILLBORN names the file that tells. */
import { existsSync, writeFileSync } from 'node:fs'

const marker = process.env.WK_STILLBORN
if (!existsSync(marker)) {
  writeFileSync(marker, '')
  process.exit(1)
}
await import('@wk/lsm/worker')
