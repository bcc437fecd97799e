// Takes a lock and holds it until it is told to let go: `lock-child.mjs BUNDLE LOCK VARIANT shared|exclusive`.
// Runs as a child process (talks over stdio) and as a worker thread (talks over its port).
import { isMainThread, parentPort, workerData } from 'node:worker_threads'

const [bundle, path, variant, mode] = isMainThread ? process.argv.slice(2) : workerData
const say = (line) => (isMainThread ? process.stdout.write(`${line}\n`) : parentPort.postMessage(line))
const { NodeFileSystem } = await import(bundle)
const fs = new NodeFileSystem(variant === 'default' ? {} : { lockVariant: variant })
try {
  const lock = await fs.lock(path, { shared: mode === 'shared' })
  say('locked')
  await new Promise((resolve) => {
    if (isMainThread) process.stdin.once('data', resolve)
    else parentPort.once('message', resolve)
  })
  await lock.release()
  say('released')
} catch (error) {
  say(`refused ${error.code} ${error.pid} ${error.cause?.code}`)
}
if (isMainThread) process.stdin.destroy()
