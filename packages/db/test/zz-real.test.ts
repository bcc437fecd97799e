import { mkdtempSync, readdirSync, rmSync, statSync, readFileSync } from 'node:fs'
import { it } from 'vitest'
import { DB } from '../src/index.js'
import { Rng } from '@wk/testkit'
const size = (d: string) => readdirSync(d).reduce((s, n) => { try { return s + statSync(d + '/' + n).size } catch { return s } }, 0)
const io = () => Number(/^wchar: (\d+)/m.exec(readFileSync('/proc/self/io', 'utf8'))![1])
it.each([[16384, 8000, true, 'u'], [16384, 8000, false, 'u']] as const)('%i %i gc %s %s', async (len, N, auto, dist) => {
  const dir = mkdtempSync('/tmp/wk-real-')
  const db = await DB.open(dir, { gc: { auto } })
  const rng = new Rng(3)
  const value = new Uint8Array(len).map((_, i) => i * 7)
  const key = (i: number) => 'key ' + String((i * 2654435761) % 4294967296).padStart(12, '0')
  const live = N * (len + 16)
  let t0 = performance.now()
  for (let i = 0; i < N; i += 250) await Promise.all(Array.from({ length: 250 }, (_, j) => db.put(key(i + j), value)))
  const load = N / (performance.now() - t0)
  t0 = performance.now()
  const w0 = io()
  let max = 0, sum = 0, n = 0
  const lat: number[] = []
  for (let i = 0; i < 5 * N; i += 250) {
    const s = performance.now()
    await Promise.all(Array.from({ length: 250 }, () => db.put(key(dist === 'u' ? rng.below(N) : Math.floor(N * (rng.next() / 2 ** 32) ** 4)), value)))
    lat.push(performance.now() - s)
    const amp = size(dir) / live
    max = Math.max(max, amp); sum += amp; n++
  }
  const ms = performance.now() - t0
  lat.sort((a, b) => a - b)
  await new Promise((r) => setTimeout(r, 1500))
  const st = db.stats()
  console.log(`${dist} ${len} x ${N} gc ${auto}: load ${load.toFixed(1)} kops, overwrite ${(5 * N / ms).toFixed(1)} kops, SA max ${max.toFixed(3)} mean ${(sum / n).toFixed(3)} after ${(size(dir) / live).toFixed(3)}, WA ${((io() - w0) / (5 * live)).toFixed(2)}, group p50 ${lat[lat.length >> 1]!.toFixed(1)} p99 ${lat[Math.floor(lat.length * 0.99)]!.toFixed(1)}, passes ${st.gcPasses} slow ${st.gcSlowdowns} ${st.gcSlowedMs.toFixed(0)}ms flushes ${st.flushes} comp ${st.compactions} ${st.compactionBytesWritten} files ${st.valueLogFiles} moved ${(st.gcBytesMoved / 5 / live).toFixed(2)}`)
  await db.close()
  rmSync(dir, { recursive: true })
}, 120000)
