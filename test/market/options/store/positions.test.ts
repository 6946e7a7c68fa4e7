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
import { RUN_AT } from '../ranking/invented-run.ts';

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

describe('positions', () => {
  const call = { contract: 'BRKB270115C00500000', quantity: 2, entry_price: 12.5 };

  test('are found by their underlying, with their owners; what is not given is unknown', async () => {
    await db.transaction((tx) => addPositions(tx, 'alice', [{ ...call, target: 550, entry_spot: 500, stop: 0.3 }, call], RUN_AT));
    await db.transaction((tx) => addPositions(tx, 'bob', [{ ...call, contract: 'AAPL270115C00250000' }], RUN_AT));
    const { positions, owners } = await positionsIn(db, 'BRK.B');
    const [first, second] = await listPositions(db, 'alice');
    expect(positions).toEqual([
      { id: first!.id, contract: call.contract, entryPrice: 12.5, entrySpot: 500, target: 550, stop: 0.3, entryIv: undefined },
      {
        id: second!.id,
        contract: call.contract,
        entryPrice: 12.5,
        entrySpot: undefined,
        target: undefined,
        stop: undefined,
        entryIv: undefined,
      },
    ]);
    expect([...owners.values()]).toEqual(['alice', 'alice']);
  });

  test('are found by weekly and adjusted contracts too, and not by those of another company', async () => {
    const roots = ['SPX', 'SPXW', 'SPX1', 'SPXU', 'SP'];
    await db.transaction((tx) =>
      addPositions(
        tx,
        'alice',
        roots.map((root) => ({ ...call, contract: `${root}270115C00500000` })),
        RUN_AT,
      ),
    );
    const { positions } = await positionsIn(db, '^SPX');
    expect(positions.map(({ contract }) => contract.slice(0, -15))).toEqual(['SPX', 'SPXW', 'SPX1']);
  });

  test('leave a mark of each symbol, that is another when one is added or removed, and the same again afterwards', async () => {
    const markOf = async (symbol: string) => (await heldMarks(db, ['BRK.B', 'AAPL', '^SPX'])).get(symbol);
    expect(await markOf('BRK.B')).toBeUndefined();
    await db.transaction((tx) => addPositions(tx, 'alice', [call], RUN_AT));
    const one = await markOf('BRK.B');
    await db.transaction((tx) => addPositions(tx, 'bob', [call], RUN_AT));
    const two = await markOf('BRK.B');
    expect([one, two]).toEqual([expect.stringMatching(/^[0-9a-f]{16}$/), expect.stringMatching(/^[0-9a-f]{16}$/)]);
    expect(two).not.toBe(one);
    await removePosition(db, (await listPositions(db, 'bob'))[0]!.id);
    expect(await markOf('BRK.B')).toBe(one);
    expect(await markOf('AAPL')).toBeUndefined();
  });

  test('are refused once their contract has expired: after the close of its day, or the opening for SPX', () => {
    const of = (contract: string) => [{ ...call, contract }];
    const at = (moment: string) => Temporal.Instant.from(moment);
    expect(() => refuseExpired(of('AAPL261218C00150000'), at('2026-12-18T20:59:59Z'))).not.toThrow();
    for (const [contract, moment] of [
      ['AAPL261218C00150000', '2026-12-18T21:00:00Z'],
      ['SPX261218C06000000', '2026-12-18T14:30:00Z'],
      ['AAPL140621C00500000', '2026-01-05T15:00:00Z'],
    ] as const)
      expect(() => refuseExpired(of(contract), at(moment))).toThrow(
        expect.objectContaining({ code: 'position.expired', message: expect.stringContaining(contract) }),
      );
  });

  test('are taken of a known user only: by a position, a holding or a login', async () => {
    await expect(requireKnown(db, 'alcie')).rejects.toMatchObject({
      code: 'user.unknown',
      message: expect.stringMatching(/"alcie".*check the spelling, or import the holdings first/),
    });
    await db.transaction((tx) => addPositions(tx, 'alice', [call], RUN_AT));
    await expect(requireKnown(db, 'alice')).resolves.toBeUndefined();
    await db.run("INSERT INTO holdings (user_id, symbol, quantity, imported_at) VALUES ('carol', 'AAPL', 1, '2026-01-05')");
    await expect(requireKnown(db, 'carol')).resolves.toBeUndefined();
    await db.run('DELETE FROM holdings');
  });

  test('of a user are replaced as a whole, those of others stay', async () => {
    await db.transaction((tx) => addPositions(tx, 'alice', [call], RUN_AT));
    await db.transaction((tx) => addPositions(tx, 'bob', [call], RUN_AT));
    await db.transaction((tx) => replacePositions(tx, 'alice', [{ ...call, quantity: 7 }], RUN_AT));
    expect((await listPositions(db)).map(({ user_id, quantity }) => [user_id, quantity])).toEqual([
      ['alice', 7],
      ['bob', 2],
    ]);
  });

  test('are removed by their id, once', async () => {
    await db.transaction((tx) => addPositions(tx, 'alice', [call], RUN_AT));
    const id = (await listPositions(db))[0]!.id;
    await removePosition(db, id);
    for (const gone of [id, 'x', '1 OR 1=1']) await expect(removePosition(db, gone)).rejects.toMatchObject({ code: 'position.unknown' });
  });

  test.each([
    [{ ...call, contract: 'NOPE' }, 'contract'],
    [{ ...call, entry_price: 0 }, 'entry_price'],
    [{ ...call, entry_price: Number.NaN }, 'entry_price'],
    [{ ...call, quantity: -1 }, 'quantity'],
    [{ ...call, stop: 1.5 }, 'stop'],
    [{ ...call, stopp: 0.5 }, 'stopp'],
  ])('%j is refused with the field', (given, field) => {
    expect(() => parsePosition(given)).toThrow(
      expect.objectContaining({ code: 'position.invalid', message: expect.stringContaining(field) }),
    );
  });
});
