import { expect, it } from 'vitest'
import { InvalidArgumentError, flagOption, integerOption, wordOption } from '../src/index.js'

it('what is not given is the default, null as well', () => {
  for (const none of [undefined, null as never]) {
    expect(flagOption('a', none, true)).toBe(true)
    expect(integerOption('a', none, 5, 1, 9)).toBe(5)
    expect(wordOption('a', none, 'x', ['x', 'y'])).toBe('x')
  }
})

it('what is given is taken, or refused by name', () => {
  expect([flagOption('a', false, true), integerOption('a', 9, 5, 1, 9), wordOption('a', 'y', 'x', ['x', 'y'])]).toEqual([false, 9, 'y'])
  for (const wrong of [0, 'true', {}] as never[]) expect(() => flagOption('a', wrong, true)).toThrow(new InvalidArgumentError('a must be a boolean'))
  for (const wrong of [0, 10, 1.5, Number.NaN, '5', 5n] as never[]) expect(() => integerOption('a', wrong, 5, 1, 9)).toThrow(new InvalidArgumentError('a must be an integer from 1 to 9'))
  for (const wrong of ['z', 1, {}] as never[]) expect(() => wordOption<string>('a', wrong, 'x', ['x', 'y'])).toThrow(new InvalidArgumentError('a must be one of x, y'))
})
