import { expect, it } from 'vitest'
import { judgeHistory } from '../src/history/oracle.js'
import { recordHistory } from '../src/history/round.js'

it('the same seed records the same history', async () => {
  // Encrypted databases draw keys of their own; what is read is the same.
  for (const number of [3, 4]) expect((await recordHistory(7, number)).events).toEqual((await recordHistory(7, number)).events)
})

it('a history has every kind of call, and an answer that is changed afterwards is found', async () => {
  const { events } = await recordHistory(7, 5)
  expect(new Set(events.map(({ kind }) => kind))).toEqual(new Set(['write', 'read', 'transaction', 'clear', 'maintenance']))
  expect(judgeHistory(events)).toEqual([])
  const at = events.findLastIndex((event) => event.kind === 'read' && event.gets.length > 0)
  const changed = events.map((event, i) => (i === at && event.kind === 'read' ? { ...event, gets: event.gets.map(([key]) => [key, 'never written'] as const) } : event))
  expect(judgeHistory(changed)).toHaveLength(1)
})
