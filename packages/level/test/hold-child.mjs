/**
 * The process of lifecycle.test.ts: opens the database in the given directory, puts one entry, says so, and holds it
 * until it is killed.
 */
import { WkLevel } from '@wk/level'

const db = new WkLevel(process.argv[2])
await db.put('from the child', 'x'.repeat(5000))
process.stdout.write('open\n')
setInterval(() => {}, 1000)
