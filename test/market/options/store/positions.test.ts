import { afterEach, describe, expect, test } from 'vitest';
import {
  addPositions,
  heldMarks,
  listPositions,
  parsePosition,
  positionsIn,
  refuseExpired,
  removePosition,
  replacePositions,
  requireKnown,
} from '../../../../services/market/options/store/positions.ts';
import { databaseOfFile } from '../../../support/database.ts';

const { db } = await databaseOfFile();
afterEach(async () => {
  for (const table of ['option_positions', 'logins', 'user_portfolio_priority']) await db.run(`DELETE FROM ${table}`);
});

const NOW = new Date('2026-03-10T15:00:00Z');
const call = { contract: 'AAPL270115C00250000', quantity: 1, entry_price: 5 };
const add = (user: string, ...positions: Parameters<typeof addPositions>[2]) =>
  db.transaction((tx) => addPositions(tx, user, positions, NOW));

test('a position is opened when it says, or now; each has an id above those before it', async () => {
  await add('alice', { ...call, opened_at: '2026-01-05T10:00:00-05:00', entry_iv: 0.3 }, call);
  const [first, second] = await listPositions(db, 'alice');
  expect([first!.opened_at, second!.opened_at]).toEqual([new Date('2026-01-05T15:00:00Z'), NOW]);
  expect([first!.entry_iv, second!.entry_iv]).toEqual([0.3, null]);
  expect(Number(second!.id)).toBeGreaterThan(Number(first!.id));
  expect((await positionsIn(db, 'AAPL')).positions.map(({ entryIv }) => entryIv)).toEqual([0.3, undefined]);
});

test('no position is none, and no error', async () => {
  await add('alice');
  expect(await listPositions(db)).toEqual([]);
});

test('the positions of all stand by user, then as they were added', async () => {
  await add('bob', { ...call, quantity: 1 });
  await add('alice', { ...call, quantity: 2 });
  await add('bob', { ...call, quantity: 3 });
  await add('alice', { ...call, quantity: 4 });
  expect((await listPositions(db)).map(({ user_id, quantity }) => [user_id, quantity])).toEqual([
    ['alice', 2],
    ['alice', 4],
    ['bob', 1],
    ['bob', 3],
  ]);
  const { positions, owners } = await positionsIn(db, 'AAPL');
  expect(positions.map(({ id }) => owners.get(id))).toEqual(['bob', 'alice', 'bob', 'alice']);
});

test('one is removed alone, and the message names one that is not there, shortened', async () => {
  await add('alice', call, { ...call, quantity: 2 });
  const [first] = await listPositions(db, 'alice');
  await removePosition(db, first!.id);
  expect((await listPositions(db, 'alice')).map(({ quantity }) => quantity)).toEqual([2]);
  await expect(removePosition(db, 'x'.repeat(50))).rejects.toMatchObject({
    code: 'position.unknown',
    message: expect.stringMatching(/^there is no position "x{40}"; ".* position list" shows all$/),
  });
});

test('a position that cannot be written is an error of who adds it, and none of those with it is there', async () => {
  await expect(add('u'.repeat(65), call, call)).rejects.toThrow();
  expect(await listPositions(db)).toEqual([]);
});

describe('an expired contract', () => {
  const expired = { ...call, contract: 'AAPL260306C00250000' };

  test('is refused by its name and day, one of today until the close is not', () => {
    const at = (moment: string) => Temporal.Instant.from(moment);
    expect(() => refuseExpired([call, expired], at('2026-03-10T15:00:00Z'))).toThrow('AAPL260306C00250000 expired on 2026-03-06; give a');
    expect(() => refuseExpired([call, expired], at('2026-03-06T20:59:59Z'))).not.toThrow();
  });

  test('is not taken new by a replacement, which then changes nothing; one that is held may stay', async () => {
    await add('alice', call);
    await add('bob', expired);
    const replace = (user: string) => db.transaction((tx) => replacePositions(tx, user, [expired], NOW));
    await expect(replace('alice')).rejects.toMatchObject({ code: 'position.expired' });
    expect((await listPositions(db, 'alice')).map(({ contract }) => contract)).toEqual([call.contract]);
    await replace('bob');
    expect((await listPositions(db, 'bob')).map(({ contract }) => contract)).toEqual([expired.contract]);
  });
});

describe('what is given', () => {
  test('names every fault with its field, and the whole where it is no position at all', () => {
    expect(() => parsePosition({ ...call, quantity: 0, stop: 2 })).toThrow(/^quantity: .+; stop: .+$/);
    expect(() => parsePosition('AAPL')).toThrow(/^position: /);
    expect(() => parsePosition({ ...call, contract: 'AAPL' })).toThrow(/^contract: contract "AAPL" has another shape/);
  });

  test('may say when it was opened in any zone, and not without one', () => {
    const at = (opened_at: string) => parsePosition({ ...call, opened_at });
    expect(at('2026-01-05T10:00:00-05:00').opened_at).toBe('2026-01-05T10:00:00-05:00');
    expect(at('2026-01-05T15:00:00Z').opened_at).toBe('2026-01-05T15:00:00Z');
    expect(() => at('2026-01-05T15:00:00')).toThrow(/^opened_at: /);
  });

  test('has its contract in the compact spelling', () => {
    expect(parsePosition({ ...call, contract: 'AAPL  270115C00250000' }).contract).toBe(call.contract);
  });

  test.each([
    ['quantity', 1e9],
    ['entry_price', 1e7],
    ['entry_iv', 100],
    ['stop', 1],
  ])('may have a %s of %d and no more', (field, most) => {
    expect(parsePosition({ ...call, [field]: most })).toMatchObject({ [field]: most });
    expect(() => parsePosition({ ...call, [field]: most * 1.001 })).toThrow(field);
  });
});

describe('the mark of a symbol', () => {
  const mark = async (symbol: string, ...others: string[]) => (await heldMarks(db, [symbol, ...others])).get(symbol);

  test('is another with a weekly or an adjusted contract more, and not with one of another company', async () => {
    await add('alice', { ...call, contract: 'SPX270115C06000000' });
    const marks = [await mark('^SPX')];
    for (const root of ['SPXW', 'SPX1']) {
      await add('alice', { ...call, contract: `${root}270115C06000000` });
      marks.push(await mark('^SPX'));
    }
    expect(new Set(marks).size).toBe(3);
    await add('alice', { ...call, contract: 'SPXU270115C00010000' });
    expect(await mark('^SPX')).toBe(marks[2]);
  });

  test('is the same whoever else is asked about, also twice', async () => {
    await add('alice', call, { ...call, contract: 'IBM270115C00250000' });
    const alone = await mark('AAPL');
    expect(alone).toMatch(/^[0-9a-f]{16}$/);
    expect([await mark('AAPL', 'IBM', 'MSFT'), await mark('AAPL', 'AAPL')]).toEqual([alone, alone]);
    expect(await mark('IBM', 'AAPL')).not.toBe(alone);
  });

  test('is that of both spellings of one root', async () => {
    await add('alice', { ...call, contract: 'BRKB270115C00500000' });
    const marks = await heldMarks(db, ['BRK.B', 'BRK-B']);
    expect([marks.size, marks.get('BRK.B')]).toEqual([2, marks.get('BRK-B')]);
  });

  test('is asked of no symbol without a question', async () => {
    expect(await heldMarks(db, [])).toEqual(new Map());
  });
});

test.each([
  ['a login', "INSERT INTO logins (user_id, activity, last_login_at, hours) VALUES ('carol', 1, NOW(3), '[]')"],
  [
    'the answer to a login',
    "INSERT INTO user_portfolio_priority (user_id, at, admitted_at, total, queued, fresh, decisions) VALUES ('carol', NOW(3), NOW(3), 0, 0, 0, '[]')",
  ],
])('a user is known by %s, and no other user with this one', async (_, statement) => {
  await expect(requireKnown(db, 'carol')).rejects.toMatchObject({ code: 'user.unknown' });
  await db.run(statement);
  await expect(requireKnown(db, 'carol')).resolves.toBeUndefined();
  await expect(requireKnown(db, 'dave')).rejects.toMatchObject({ code: 'user.unknown' });
});
