import { expect, test } from 'vitest';
import { nameGivenTwice } from '../../../services/platform/text/json-names.ts';

test.each<[json: string, name: string, character: number]>([
  ['{"a":1,"a":2}', 'a', 8],
  ['{"a":1, "b":{"a":2,"c":[{"a":1},{"d":[],"d":{}}]}}', 'd', 41],
  ['{"user":"x","us\\u0065r":"y"}', 'user', 13],
  ['{"\\"":1,"\\\\":2,"\\"":3}', '"', 16],
  ['{"":1 ,\n""\t:2}', '', 9],
  ['{"a":{"b":1},"a":2}', 'a', 14],
  ['{"__proto__":1,"__proto__":2}', '__proto__', 16],
])('%s', (json, name, character) => {
  // What is no JSON has no names.
  JSON.parse(json);
  expect(nameGivenTwice(json)).toEqual({ name, character });
});

test.each([
  '{"a":{"a":{"a":1}},"b":{"a":1}}',
  '[{"a":1},{"a":1}]',
  '{"a":"a","b":"a:a","c":"{\\"a\\":1,\\"a\\":1}"}',
  '{"a":"\\\\","b":"{","c":["}"],"d":"\\""}',
  '"a"',
  '{}',
  '[]',
  'null',
])('none in %s', (json) => {
  JSON.parse(json);
  expect(nameGivenTwice(json)).toBeUndefined();
});
