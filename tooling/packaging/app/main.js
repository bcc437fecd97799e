/**
 * The application that bundle.test.ts bundles: fills a database so far that it flushes and compacts, and prints what
 * became of it as one line of JSON. Arguments: directory, and the URL of the worker or nothing.
 */
import { DB } from '@wk/db'

const [dir, worker] = process.argv.slice(2)
const db = await DB.open(dir, { memTableSize: 256 * 1024, l0CompactionTrigger: 2, ...(worker && { workerUrl: new URL(worker, import.meta.url) }) })
const warnings = []
db.on('warning', ({ code }) => warnings.push(code))
const count = 5000
for (let i = 0; i < count; i++) await db.put(String(i % 3000), `${i} `.repeat(100))
await db.flush()
await db.compact()
const { flushes, compactions } = db.stats()
const last = new TextDecoder().decode(await db.get('1999')).slice(0, 4)
const { ok } = await db.verify()
await db.close()
console.log(JSON.stringify({ warnings, flushes, compactions, last, ok }))
