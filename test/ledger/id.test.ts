import { describe, expect, test } from 'vitest';
import { idFromBytes, idToBytes, newJobId, parseJobId, sortedBytes } from '../../services/ledger/id.ts';

const FAR = Date.UTC(2100, 0, 1);

describe('a new job id', () => {
  test('is a UUID of version 7 and variant 10 (RFC 9562, 4.1 and 4.2)', () => {
    expect(newJobId(FAR)).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  });

  test('begins with the time in milliseconds (RFC 9562, 5.7)', () => {
    const ms = FAR + 86_400_000;
    expect(idToBytes(newJobId(ms)).readUIntBE(0, 6)).toBe(ms);
  });

  test('is greater than all before it, also 10,000 times within a millisecond', () => {
    const ids = Array.from({ length: 10_000 }, () => newJobId(FAR + 2 * 86_400_000));
    expect(ids).toEqual(ids.toSorted());
    expect(new Set(ids).size).toBe(10_000);
  });

  test('is greater than all before it when the clock goes back', () => {
    const before = newJobId(FAR + 3 * 86_400_000);
    expect(newJobId(0) > before).toBe(true);
  });
});

test('an id survives the way to the database and back', () => {
  const id = newJobId(FAR);
  expect(idToBytes(id)).toHaveLength(16);
  expect(idFromBytes(idToBytes(id))).toBe(id);
});

test('bytes for locking are in the order in which the database compares them, each once', () => {
  const ids = Array.from({ length: 50 }, (_, index) => newJobId(index));
  const bytes = sortedBytes([...ids.toReversed(), ...ids]);
  expect(bytes).toEqual(ids.map(idToBytes).sort(Buffer.compare));
});

describe('an id that a person typed', () => {
  test('may have spaces round it and capital letters', () => {
    const id = newJobId(FAR);
    expect(parseJobId(`  ${id.toUpperCase()} `)).toBe(id);
  });

  test.each(['', 'AAPL', '123', '01932c07-5f2a-4000-8a3b-0123456789ab', `${'9'.repeat(200)}`, "'; DROP TABLE jobs; --"])(
    'is refused when it is none: %s',
    (text) => {
      expect(() => parseJobId(text)).toThrow(expect.objectContaining({ code: 'job.invalid_id' }));
    },
  );
});
