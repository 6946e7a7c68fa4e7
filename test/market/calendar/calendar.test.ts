import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { calendarOf, momentsAt, tradesEveryDay, usCalendar } from '../../../services/market/calendar/calendar.ts';
import { leanFolder, leanIsAbsent, leanIsThere, wholeDayFile } from '../reference/lean-bars.ts';

const at = (text: string) => Temporal.Instant.from(text);
const times = (date: string) => {
  const session = usCalendar.session(date);
  return session && `${session.open} ${session.close}`;
};

describe('sessions', () => {
  // 2026: daylight saving time from 8 March to 1 November, so 09:30 in New York is 14:30 UTC on the Friday before and 13:30 on the Monday after.
  test.each([
    ['a winter day', '2026-03-06', '2026-03-06T14:30:00Z 2026-03-06T21:00:00Z'],
    ['the first session of summer time', '2026-03-09', '2026-03-09T13:30:00Z 2026-03-09T20:00:00Z'],
    ['the last session of summer time', '2026-10-30', '2026-10-30T13:30:00Z 2026-10-30T20:00:00Z'],
    ['the first session of winter time', '2026-11-02', '2026-11-02T14:30:00Z 2026-11-02T21:00:00Z'],
    ['the day after Thanksgiving, short', '2026-11-27', '2026-11-27T14:30:00Z 2026-11-27T18:00:00Z'],
    ['Christmas Eve, short', '2026-12-24', '2026-12-24T14:30:00Z 2026-12-24T18:00:00Z'],
    ['Wednesday 3 July 2013, short', '2013-07-03', '2013-07-03T13:30:00Z 2013-07-03T17:00:00Z'],
    ['Wednesday 3 July 2002, whole', '2002-07-03', '2002-07-03T13:30:00Z 2002-07-03T20:00:00Z'],
    ['Friday 5 July 2002, short', '2002-07-05', '2002-07-05T13:30:00Z 2002-07-05T17:00:00Z'],
  ])('%s: %s runs %s', (_, date, expected) => {
    expect(times(date)).toBe(expected);
  });

  test.each([
    ['a Saturday', '2026-11-21'],
    ['a Sunday', '2026-11-22'],
    ['Thanksgiving', '2026-11-26'],
    ['Independence Day observed on a Friday', '2026-07-03'],
    ['a day of mourning', '2025-01-09'],
    ['a storm', '2012-10-30'],
    ['a day that does not exist', '2026-02-30'],
    ['no date at all', 'yesterday'],
    ['the empty text', ''],
  ])('%s has none: %s', (_, date) => {
    expect(usCalendar.session(date)).toBeUndefined();
    expect(usCalendar.isTradingDay(date)).toBe(false);
  });

  test('New Year on a Saturday takes no session from the old year', () => {
    expect(usCalendar.isTradingDay('2021-12-31')).toBe(true);
    expect(usCalendar.isTradingDay('2027-12-31')).toBe(true);
  });

  test('the last session before and the first after a holiday weekend, asked from inside it', () => {
    // Labor Day 2026 is Monday 7 September.
    expect(usCalendar.previous('2026-09-07').date).toBe('2026-09-04');
    expect(usCalendar.following('2026-09-05').date).toBe('2026-09-08');
  });

  test('neighbours of a session are other sessions, also across New Year', () => {
    expect(usCalendar.following('2026-12-31').date).toBe('2027-01-04');
    expect(usCalendar.previous('2027-01-04').date).toBe('2026-12-31');
  });

  test('the week of Thanksgiving has four trading days, both ends included', () => {
    expect(usCalendar.tradingDays('2026-11-23', '2026-11-27')).toEqual(['2026-11-23', '2026-11-24', '2026-11-25', '2026-11-27']);
  });

  // The NYSE's own count of its trading days in these years.
  test.each([
    [2001, 248],
    [2020, 253],
    [2021, 252],
    [2022, 251],
  ])('%d had %d trading days', (year, count) => {
    expect(usCalendar.tradingDays(`${year}-01-01`, `${year}-12-31`)).toHaveLength(count);
  });

  test.each(['20261120', '2026-11-2', '', 'x'])('asking for the neighbours of "%s" is refused', (date) => {
    expect(() => usCalendar.following(date)).toThrow(expect.objectContaining({ code: 'market.bad_date' }));
    expect(() => usCalendar.previous(date)).toThrow(expect.objectContaining({ code: 'market.bad_date' }));
    expect(() => usCalendar.tradingDays(date, '2026-11-20')).toThrow(expect.objectContaining({ code: 'market.bad_date' }));
  });

  test('a year outside the calendar is refused, not searched for', () => {
    expect(() => usCalendar.following('9998-01-01')).toThrow(expect.objectContaining({ code: 'market.bad_date' }));
    expect(usCalendar.session('9998-01-02')).toBeUndefined();
  });

  test('the answers stay the same after more years were asked for than are kept', () => {
    const before = usCalendar.session('2026-11-20');
    for (let year = 1900; year < 2000; year++) usCalendar.isTradingDay(`${year}-06-15`);
    expect(usCalendar.session('2026-11-20')).toEqual(before);
  });
});

describe('the ends of the calendar and of a year', () => {
  test('the first and the last year are known, those beside them are refused', () => {
    expect(usCalendar.isTradingDay('1885-06-01')).toBe(true);
    expect(usCalendar.isTradingDay('2199-12-31')).toBe(true);
    expect(usCalendar.session('1884-06-02')).toBeUndefined();
    expect(usCalendar.session('2200-01-02')).toBeUndefined();
    expect(usCalendar.previous('1886-01-01').date).toBe('1885-12-31');
    expect(usCalendar.following('2198-12-31').date).toBe('2199-01-02');
    for (const ask of [
      () => usCalendar.previous('1885-01-01'),
      () => usCalendar.following('2199-12-31'),
      () => usCalendar.following('1884-12-31'),
    ])
      expect(ask).toThrow(expect.objectContaining({ code: 'market.bad_date', message: expect.stringContaining('1885 to 2199') }));
  });

  test('a session has those before and after it as its neighbours, not itself', () => {
    expect(usCalendar.previous('2026-11-24').date).toBe('2026-11-23');
    expect(usCalendar.following('2026-11-24').date).toBe('2026-11-25');
    expect(usCalendar.previous('2026-01-02').date).toBe('2025-12-31');
    expect(usCalendar.following('2026-12-31').date).toBe('2027-01-04');
  });

  // The NYSE had 250 sessions in 2025.
  test.each([
    ['2026-11-23', '2026-11-23', 0],
    ['2026-11-23', '2026-11-24', 1],
    ['2026-11-22', '2026-11-23', 1],
    ['2026-11-23', '2026-11-30', 4],
    ['2026-11-24', '2026-11-23', 0],
    ['2024-12-31', '2025-12-31', 250],
    ['2024-12-30', '2026-01-02', 252],
  ])('after %s up to %s there are %i sessions', (date, through, count) => {
    expect(usCalendar.sessionsAfter(date, through)).toBe(count);
  });

  test('trading days across New Year are in order, both ends included', () => {
    expect(usCalendar.tradingDays('2026-12-30', '2027-01-05')).toEqual(['2026-12-30', '2026-12-31', '2027-01-04', '2027-01-05']);
    expect(usCalendar.tradingDays('2026-11-24', '2026-11-23')).toEqual([]);
  });
});

describe('short days and closings before the database of market hours', () => {
  // NYSE, Special Closings and Holidays: 13:00 on the day after Thanksgiving since 1993, on the eve of Independence Day since 1995.
  test.each([
    ['1993-11-26', true],
    ['1993-12-24', undefined],
    ['1994-12-24', undefined],
    ['1996-12-24', true],
    ['1995-07-03', true],
    ['1994-07-01', false],
    ['1992-11-27', false],
    ['1992-12-24', false],
    ['1997-12-26', true],
    ['1998-12-28', false],
    ['1999-12-31', true],
    ['2003-12-26', true],
    ['2004-12-27', false],
    ['2002-11-29', true],
    ['2018-11-23', true],
    ['2019-11-29', true],
  ])('%s ends early: %s', (date, early) => {
    expect(usCalendar.session(date)?.early).toBe(early);
  });

  test.each(['1972-12-28', '1973-01-25', '1977-07-14', '1985-09-27', '1994-04-27'])(
    '%s had no session, the same day a year later had one or a weekend',
    (date) => {
      expect(usCalendar.isTradingDay(date)).toBe(false);
      const week = Temporal.PlainDate.from(date).add({ weeks: 53 }).toString();
      expect(usCalendar.isTradingDay(week)).toBe(true);
    },
  );
});

test.each([
  ['BTC-USD', true],
  ['ETH-EUR', true],
  ['1INCH-USDT', true],
  ['BTC-US', false],
  ['BTC-USDCX', false],
  ['BRK-B', false],
  ['AAPL', false],
  ['EURUSD=X', false],
  ['BT-A.L', false],
])('%s trades every day: %s', (symbol, every) => {
  expect(tradesEveryDay(symbol)).toBe(every);
});

describe('the moment', () => {
  // 20 November 2026 is a Friday; 26 November Thanksgiving; 27 November closes at 13:00.
  test.each([
    ['before the open of a Monday', '2026-11-23T09:29:59.999-05:00', 'closed', '2026-11-20', '2026-11-20', '2026-11-23'],
    ['at the open', '2026-11-23T09:30-05:00', 'open', '2026-11-23', '2026-11-20', '2026-11-24'],
    ['a moment before the close', '2026-11-23T15:59:59.999-05:00', 'open', '2026-11-23', '2026-11-20', '2026-11-24'],
    ['at the close', '2026-11-23T16:00-05:00', 'closed', '2026-11-23', '2026-11-23', '2026-11-24'],
    ['late in the evening, already tomorrow in UTC', '2026-11-20T23:00-05:00', 'closed', '2026-11-20', '2026-11-20', '2026-11-23'],
    ['on a Sunday', '2026-11-22T12:00-05:00', 'weekend', '2026-11-20', '2026-11-20', '2026-11-23'],
    ['on Thanksgiving', '2026-11-26T12:00-05:00', 'weekend', '2026-11-25', '2026-11-25', '2026-11-27'],
    ['just before a short close', '2026-11-27T12:59-05:00', 'open', '2026-11-27', '2026-11-25', '2026-11-30'],
    ['at a short close', '2026-11-27T13:00-05:00', 'closed', '2026-11-27', '2026-11-27', '2026-11-30'],
  ])('%s', (_, now, state, started, closed, next) => {
    expect(usCalendar.state(at(now))).toBe(state);
    expect(usCalendar.latestStarted(at(now)).date).toBe(started);
    expect(usCalendar.latestClosed(at(now)).date).toBe(closed);
    expect(usCalendar.next(at(now)).date).toBe(next);
  });

  test('is the same whether the last answer is reused or not', () => {
    const other = at('2020-01-01T00:00Z');
    for (let minute = 0; minute < 7 * 24 * 60; minute += 7) {
      const now = at('2026-11-22T00:00Z').add({ minutes: minute });
      const reused = usCalendar.at(now);
      usCalendar.at(other);
      expect(reused).toEqual(usCalendar.at(now));
    }
  });

  test.each([
    ['midnight', '2026-11-23T23:59:59.999-05:00', '2026-11-24T00:00-05:00', 'closed', 'closed', '2026-11-24'],
    ['the open', '2026-11-23T09:29:59.999-05:00', '2026-11-23T09:30-05:00', 'closed', 'open', '2026-11-24'],
    ['the close', '2026-11-23T15:59:59.999-05:00', '2026-11-23T16:00-05:00', 'open', 'closed', '2026-11-24'],
    ['the end of a Friday', '2026-11-20T23:59:59.999-05:00', '2026-11-21T00:00-05:00', 'closed', 'weekend', '2026-11-23'],
  ])('over %s is not that of the moment before', (_, before, after, first, then, next) => {
    expect(usCalendar.at(at(before)).session).toBe(first);
    const moment = usCalendar.at(at(after));
    expect([moment.session, moment.exchange?.next.date, moment.nowMs]).toEqual([then, next, at(after).epochMilliseconds]);
    expect(usCalendar.at(at(before)).session).toBe(first);
  });

  test('of a batch is computed for each symbol by its own exchange', () => {
    const moments = momentsAt(at('2026-11-23T12:00-05:00'));
    expect(moments('AAPL').session).toBe('open');
    expect(moments('BTC-USD')).toEqual({ nowMs: at('2026-11-23T17:00Z').epochMilliseconds, session: 'none' });
    expect(moments('SPY')).toBe(moments('AAPL'));
  });
});

describe('the calendar of a symbol', () => {
  test.each(['AAPL', 'F', 'GOOGL', 'BRK.B', 'BF.B', 'BRK-B', 'BAC-PL', 'HEI.A', '^GSPC', '^VIX', '^DJI', 'VTSAX'])(
    '%s is traded in the US',
    (symbol) => {
      expect(calendarOf(symbol)).toBe(usCalendar);
    },
  );

  test.each([
    'NOVO-B.CO',
    'SHOP.TO',
    'SAP.DE',
    'VOD.L',
    '7203.T',
    'BMW.F',
    'ABC.V',
    'BTC-USD',
    'ETH-EUR',
    'EURUSD=X',
    'GC=F',
    '^FTSE',
    '^N225',
    '0P000071W8.TO',
    'aapl',
    '',
  ])('"%s" has none', (symbol) => {
    expect(calendarOf(symbol)).toBeUndefined();
  });
});

test('the trading days of 1998 to March 2021 are those on which SPY was traded', async (context) => {
  context.skip(!leanIsThere, leanIsAbsent);
  const traded = (await wholeDayFile('SPY')).map(({ date }) => date);
  expect(usCalendar.tradingDays('1998-01-01', '2021-03-31')).toEqual(traded);
});

describe('against a published market-hours database', () => {
  interface Hours {
    holidays: string[];
    earlyCloses: Record<string, string>;
  }
  const load = (): Hours =>
    JSON.parse(readFileSync(join(leanFolder, 'market-hours/market-hours-database.json'), 'utf8')).entries['Equity-usa-[*]'];
  const iso = (text: string) => {
    const [month, day, year] = text.split('/') as [string, string, string];
    return `${year}-${month.padStart(2, '0')}-${day.padStart(2, '0')}`;
  };
  const isWeekday = (date: string) => ![6, 7].includes(Temporal.PlainDate.from(date).dayOfWeek);
  const weekdays = (from: string, to: string) => {
    const days: string[] = [];
    for (let day = Temporal.PlainDate.from(from); day.toString() <= to; day = day.add({ days: 1 }))
      if (day.dayOfWeek < 6) days.push(day.toString());
    return days;
  };

  test('every weekday without a session in 1998-2028 is the same', (context) => {
    context.skip(!leanIsThere, leanIsAbsent);
    const holidays = load().holidays.map(iso).filter(isWeekday).sort();
    expect(holidays.length).toBeGreaterThan(280);
    const ours = weekdays('1998-01-01', '2028-12-31').filter((date) => !usCalendar.isTradingDay(date));
    expect(ours).toEqual(holidays);
  });

  test('every short day from November 1999 to 2028 is the same', (context) => {
    context.skip(!leanIsThere, leanIsAbsent);
    const { earlyCloses } = load();
    expect(new Set(Object.values(earlyCloses))).toEqual(new Set(['13:00:00']));
    // The database starts in November 1999, lists one Sunday, and lacks New Year's Eve 1999, which closed at 13:00 (NYSE, Special Closings).
    const theirs = [...Object.keys(earlyCloses).map(iso).filter(isWeekday), '1999-12-31'].sort();
    const ours = usCalendar.tradingDays('1999-11-01', '2028-12-31').filter((date) => usCalendar.session(date)!.early);
    expect(ours).toEqual(theirs);
  });
});
