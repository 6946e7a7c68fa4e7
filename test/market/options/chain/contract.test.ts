import { describe, expect, test } from 'vitest';
import { type Contract, formatContract, parseContract } from '../../../../services/market/options/chain/contract.ts';
import { InputError } from '../../../../services/platform/errors.ts';
import fc from '../../../support/fast-check.ts';

function refusal(act: () => unknown): InputError {
  try {
    act();
  } catch (error) {
    if (error instanceof InputError) return error;
    throw error;
  }
  throw new Error('it was accepted');
}

const contracts: fc.Arbitrary<Contract> = fc.record({
  underlying: fc.stringMatching(/^[A-Z][A-Z0-9]{0,5}$/),
  expiry: fc
    .date({ min: new Date('2000-01-01'), max: new Date('2099-12-31'), noInvalidDate: true })
    .map((date) => date.toISOString().slice(0, 10)),
  isPut: fc.boolean(),
  strike: fc.integer({ min: 1, max: 99_999_999 }).map((thousandths) => thousandths / 1000),
});

describe('parseContract', () => {
  test.each<[string, Contract]>([
    ['AAPL140621C00500000', { underlying: 'AAPL', expiry: '2014-06-21', isPut: false, strike: 500 }],
    // The example of the OCC's Options Symbology Initiative: padded to 21 characters.
    ['SPX   141122P00019500', { underlying: 'SPX', expiry: '2014-11-22', isPut: true, strike: 19.5 }],
    ['LAMR  150117C00052500', { underlying: 'LAMR', expiry: '2015-01-17', isPut: false, strike: 52.5 }],
    ['F260116P00000500', { underlying: 'F', expiry: '2026-01-16', isPut: true, strike: 0.5 }],
    ['AAPL1 140621C00071430', { underlying: 'AAPL1', expiry: '2014-06-21', isPut: false, strike: 71.43 }],
    ['1SPX240229C05000000', { underlying: '1SPX', expiry: '2024-02-29', isPut: false, strike: 5000 }],
    ['ABCDEF991231P99999999', { underlying: 'ABCDEF', expiry: '2099-12-31', isPut: true, strike: 99_999.999 }],
  ])('reads %j', (text, contract) => {
    expect(parseContract(text)).toEqual(contract);
  });

  test.each([
    ['', 'has another shape'],
    ['AAPL', 'has another shape'],
    ['140621C00500000', 'has another shape'],
    ['123140621C00500000', 'has another shape'],
    ['TOOLONG140621C00500000', 'has another shape'],
    ['BRK.B140621C00500000', 'has another shape'],
    ['aapl140621C00500000', 'has another shape'],
    ['AAPL140621X00500000', 'has another shape'],
    ['AAPL140621C0050000', 'has another shape'],
    ['AAPL140621C0050000.', 'has another shape'],
    [' AAPL140621C00500000', 'has another shape'],
    ['AAPL140621C00500000 ', 'has another shape'],
    ['AAPL  140621C00500000\n', 'has another shape'],
    ['AAPL 140621C00500000', 'has another shape'],
    ['AA PL 140621C00500000', 'has another shape'],
    ['      140621C00500000', 'has another shape'],
    ['AAPL140631C00500000', 'expires on 2014-06-31, which is no date'],
    ['AAPL140021C00500000', 'expires on 2014-00-21, which is no date'],
    ['AAPL141321C00500000', 'expires on 2014-13-21, which is no date'],
    ['AAPL140600C00500000', 'expires on 2014-06-00, which is no date'],
    ['AAPL230229C00500000', 'expires on 2023-02-29, which is no date'],
    ['AAPL140621C00000000', 'has a strike of 0'],
  ])('refuses %j: it %s', (text, fault) => {
    const error = refusal(() => parseContract(text));
    expect(error.code).toBe('contract.invalid');
    expect(error.message).toContain(fault);
  });

  test('the message names the value and shows the shape', () => {
    expect(refusal(() => parseContract('AAPL 500')).message).toMatch(
      /^contract "AAPL 500" has another shape; .* such as AAPL140621C00500000$/,
    );
  });

  test('the value is shown shortened, with everything but printable ASCII escaped', () => {
    const { message } = refusal(() => parseContract(`A\x1b[31m\u202e${'x'.repeat(300)}`));
    expect(message).toContain('"A\\u001b[31m\\u202exxx');
    expect(message).toMatch(/^[\x20-\x7e]*$/);
    expect(message.length).toBeLessThan(300);
  });
});

describe('formatContract', () => {
  test('writes the compact form', () => {
    expect(formatContract({ underlying: 'AAPL', expiry: '2014-06-21', isPut: true, strike: 71.43 })).toBe('AAPL140621P00071430');
  });

  test('any contract comes back from its compact and from its padded form', () => {
    fc.assert(
      fc.property(contracts, (contract) => {
        const compact = formatContract(contract);
        expect(parseContract(compact)).toEqual(contract);
        expect(parseContract(contract.underlying.padEnd(6) + compact.slice(-15))).toEqual(contract);
      }),
      { numRuns: 1000 },
    );
  });

  const apple: Contract = { underlying: 'AAPL', expiry: '2014-06-21', isPut: false, strike: 500 };
  test.each<[Contract, string]>([
    [{ ...apple, underlying: 'BRK.B' }, 'BRK.B 2014-06-21 call 500'],
    [{ ...apple, underlying: '' }, 'has no root'],
    [{ ...apple, expiry: '2014-06-31' }, 'no date'],
    [{ ...apple, expiry: '1999-06-21' }, 'no date'],
    [{ ...apple, expiry: '21.06.2014' }, 'no date'],
    [{ ...apple, strike: 0 }, 'call 0'],
    [{ ...apple, strike: -5 }, 'call -5'],
    [{ ...apple, strike: 71.4301 }, 'no multiple of 0.001'],
    [{ ...apple, strike: 0.0004 }, 'no multiple of 0.001'],
    [{ ...apple, strike: 100_000 }, 'no multiple of 0.001 up to 99999.999'],
    [{ ...apple, strike: NaN }, 'call NaN'],
  ])('refuses %j', (contract, fault) => {
    const error = refusal(() => formatContract(contract));
    expect(error.code).toBe('contract.invalid');
    expect(error.message).toContain(fault);
  });
});
