import { expect, test } from 'vitest';
import { unfitLicences } from './licences.ts';

test('a package without a licence, or with one that is not on the list, is named', () => {
  expect(
    unfitLicences({
      '': { license: 'GPL-3.0-only' },
      'node_modules/a': { license: 'MIT' },
      'node_modules/b': {},
      'node_modules/c': { license: 'AGPL-3.0-only' },
      'node_modules/a/node_modules/d': { license: 'SEE LICENSE IN LICENSE' },
      'node_modules/e': { link: true },
    }),
  ).toEqual(['b: no licence, shipped', 'c: AGPL-3.0-only, shipped', 'a/node_modules/d: SEE LICENSE IN LICENSE, shipped']);
});

test('a licence that obliges whoever changes the package is for development alone', () => {
  const license = 'MPL-2.0';
  expect(unfitLicences({ 'node_modules/a': { license, dev: true }, 'node_modules/b': { license } })).toEqual(['b: MPL-2.0, shipped']);
});

test('of several licences one is enough where they are joined by OR, and all count where they are joined by AND', () => {
  expect(
    unfitLicences({
      'node_modules/a': { license: '(GPL-2.0-only OR MIT)' },
      'node_modules/b': { license: 'MIT AND GPL-2.0-only' },
      'node_modules/c': { license: 'Apache-2.0 AND MIT' },
    }),
  ).toEqual(['b: MIT AND GPL-2.0-only, shipped']);
});
