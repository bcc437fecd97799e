// A worker thread that opens a file and, when it is told to, begins to close it: workerData is [BUNDLE, PATH].
import { parentPort, workerData } from 'node:worker_threads'

const [bundle, path] = workerData
const { NodeFileSystem } = await import(bundle)
const file = new NodeFileSystem().openSync(path, 'read')
parentPort.once('message', () => {
  void file.close()
  parentPort.postMessage('closing')
})
parentPort.postMessage('open')
