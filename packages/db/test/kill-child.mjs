/**
 * The process that kill.test.ts kills: opens the database and writes the endless workload from a given step on, with
 * flush, compaction and collection beside it. Every call and every acknowledgement is a line of an append-only file,
 * which outlives this process; what it is about to do is a line on stdout, so that it can be killed at that.
 *
 * Arguments: directory, journal, seed, first step, options as JSON.
 */
import { openSync, writeSync } from 'node:fs'
import { DB } from '@wk/db'
import { endlessStep } from '@wk/testkit'

const [dir, journal, seed, first, options] = process.argv.slice(2)
const log = openSync(journal, 'a')
const say = (word) => process.stdout.write(`${word}\n`)
const note = (kind, step) => writeSync(log, `${kind} ${step}\n`)

say('opening')
const db = await DB.open(dir, JSON.parse(options))
say('open')

const unlessNothing = (err) => {
  if (err.code !== 'WK_NO_REWRITE' && err.code !== 'WK_GC_RUNNING') throw err
}
const maintenance = [
  () => db.flush(),
  () => db.compact(),
  () => db.runValueLogGC(0.2).catch(unlessNothing),
  () => db.runValueLogGC(0.05).catch(unlessNothing),
]
const names = ['flush', 'compact', 'gc', 'gc']

let inFlight = []
let background = Promise.resolve()
for (let step = Number(first); ; step++) {
  const changes = endlessStep(Number(seed), step)
  note('c', step)
  const [change] = changes
  const write = { sync: step % 50 === 49 }
  let call
  if (changes.length > 1) call = db.batch(changes.map(({ key, value }) => (value === undefined ? { type: 'del', key } : { type: 'put', key, value })), write)
  else call = change.value === undefined ? db.del(change.key, write) : db.put(change.key, change.value, write)
  inFlight.push(call.then(() => note('a', step)))
  if (step % 70 === 69) {
    const turn = Math.floor(step / 70) % maintenance.length
    background = background.then(() => {
      say(names[turn])
      return maintenance[turn]()
    })
  }
  if (inFlight.length >= 1 + (step % 24)) {
    await Promise.all(inFlight)
    inFlight = []
  }
  if (step % 300 === 299) {
    await background
    await new Promise((resolve) => setImmediate(resolve))
  }
}
