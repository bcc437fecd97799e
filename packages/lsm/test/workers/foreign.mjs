/** A worker of another release. */
import { parentPort } from 'node:worker_threads'

parentPort.postMessage({ type: 'ready', protocol: 999 })
parentPort.on('message', () => {})
