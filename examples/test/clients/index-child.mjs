/**
 * A client that is killed: people in one sublevel, an index by town in another, kept by a hook of Level in the same batch. Prints
 * `id revision` of each change once it was acknowledged. Argument: directory.
 */
import { WkLevel } from '@wk/level'

const TOWNS = ['Delft', 'Ghent', 'Lyon', 'Turku']
const db = new WkLevel(process.argv[2], { memTableSize: 128 * 1024, valueLogFileSize: 512 * 1024 })
const people = db.sublevel('people', { valueEncoding: 'json' })
const byTown = db.sublevel('town', { valueEncoding: 'utf8' })
await db.open()

people.hooks.prewrite.add((operation, batch) => {
  if (operation.type !== 'put') return
  const { id, town, before } = operation.value
  if (before !== undefined) batch.add({ type: 'del', key: `${before}!${id}`, sublevel: byTown })
  batch.add({ type: 'put', key: `${town}!${id}`, value: '', sublevel: byTown })
})

async function work(worker) {
  const towns = new Map()
  for (let revision = 0; ; revision++) {
    const id = `${worker}-${revision % 97}`
    const town = TOWNS[(revision * 7 + worker) % TOWNS.length]
    const before = towns.get(id)
    await people.put(id, { id, town, revision, text: 'x'.repeat((revision * 37) % 4000), ...(before !== undefined && before !== town && { before }) })
    towns.set(id, town)
    process.stdout.write(`${id} ${revision}\n`)
  }
}
await Promise.all([work(0), work(1), work(2)])
