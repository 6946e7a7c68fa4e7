import { describe, expect, test } from 'vitest';
import {
  decodeLevel,
  encodeLevel,
  filterFor,
  matchTopic,
  TOPIC_KINDS,
  TOPICS,
  topicFor,
  topicPrefix,
} from '../../services/platform/topics.ts';
import fc from '../support/fast-check.ts';

const anyText = fc.string({ unit: 'binary', minLength: 1 });

describe('a variable level', () => {
  test('is encoded to [A-Za-z0-9_-] and decoded to what it was, whatever it was', () => {
    fc.assert(
      fc.property(anyText, (raw) => {
        const level = encodeLevel(raw);
        expect(level).toMatch(/^[A-Za-z0-9_-]+$/);
        expect(decodeLevel(level)).toBe(raw);
      }),
    );
  });

  test('has one spelling: whatever can be decoded is what encoding gives', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[A-Za-z0-9_-]{1,12}$/), (level) => {
        let raw: string;
        try {
          raw = decodeLevel(level);
        } catch {
          return;
        }
        expect(encodeLevel(raw)).toBe(level);
      }),
    );
  });

  // UTF-8 bytes by the Unicode standard: U+00E9 is C3 A9, U+1F4C8 is F0 9F 93 88.
  test.each([
    ['BRK.B', 'BRK_2EB'],
    ['_', '_5F'],
    ['a b/c+#', 'a_20b_2Fc_2B_23'],
    ['é', '_C3_A9'],
    ['📈', '_F0_9F_93_88'],
    ['\u0000', '_00'],
  ])('writes %j as %s', (raw, level) => {
    expect(encodeLevel(raw)).toBe(level);
    expect(decodeLevel(level)).toBe(raw);
  });

  test.each(['', '\ud800', 'x\udfff'])('refuses %j, which has no UTF-8 form or no character', (raw) => {
    expect(() => encodeLevel(raw)).toThrow(expect.objectContaining({ code: 'topic.invalid_level' }));
  });

  test.each(['', 'BRK.B', '_2e', '_2', '_', '_41', '_FF', 'a b', '_C3'])('is refused when it was not encoded so: %j', (level) => {
    expect(() => decodeLevel(level)).toThrow(expect.objectContaining({ code: 'topic.invalid_level' }));
  });
});

describe('a topic', () => {
  test('is found again from what it was made of, below any prefix', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...TOPIC_KINDS),
        fc.array(anyText, { minLength: 2, maxLength: 2 }),
        fc.constantFrom('', 'site-1/', 'a/b/'),
        (kind, raws, prefix) => {
          const names = [...TOPICS[kind].pattern.matchAll(/\{(.+?)\}/g)].map(([, name]) => name!);
          const params = Object.fromEntries(names.map((name, at) => [name, raws[at]!])) as never;
          const topic = topicFor(kind, params, prefix);
          expect(topic.startsWith(prefix)).toBe(true);
          expect(matchTopic(topic, prefix)).toEqual({ kind, params });
        },
      ),
    );
  });

  test('has the shape stock/+/+ only if it announces a job', () => {
    const shape = TOPIC_KINDS.filter((kind) => /^(stock|\{.+\})\/[^/]+\/[^/]+$/.test(TOPICS[kind].pattern));
    expect(shape).toEqual(['job']);
  });

  test.each(['stock/fetch', 'stock/fetch/AAPL/x', 'events/logout', '', 'other/events/login'])(
    "of another house is nobody's: %j",
    (topic) => {
      expect(matchTopic(topic)).toBeUndefined();
    },
  );

  test("of another prefix is nobody's", () => {
    expect(matchTopic('events/login', 'site-1/')).toBeUndefined();
    expect(matchTopic('site-1/events/login', 'site-1/')).toEqual({ kind: 'login', params: {} });
  });
});

test('a filter has + for every level that is not given', () => {
  expect(filterFor('job')).toBe('stock/+/+');
  expect(filterFor('job', { area: 'fetch' })).toBe('stock/fetch/+');
  expect(filterFor('presence', { service: 'worker' }, 'site-1/')).toBe('site-1/mesh/worker/+/state');
  expect(filterFor('data', { symbol: 'BRK.B' })).toBe('data/BRK_2EB/+');
});

test('a prefix is given its slash, and refused when it could not be a plain topic', () => {
  expect(['', '/', 'site-1', 'site-1/', 'a/b'].map(topicPrefix)).toEqual(['', '', 'site-1/', 'site-1/', 'a/b/']);
  for (const bad of ['+', 'a/#', '$SYS', '/a', 'a//b', 'a b'])
    expect(() => topicPrefix(bad)).toThrow(expect.objectContaining({ code: 'topic.invalid_prefix' }));
});
