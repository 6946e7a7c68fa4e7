import { describe, expect, test } from 'vitest';
import type { InputError } from '../../services/platform/errors.ts';
import { type Body, type Draft, encodeMessage, MAX_PAYLOAD_BYTES, parseMessage } from '../../services/platform/messages.ts';
import type { TopicKind } from '../../services/platform/topics.ts';

const AT = '2026-01-02T14:30:00Z';
const SESSION = '5f0c1e0a-7b1d-4c43-9a55-0d8f1f3c9e11';
const job: Draft<'job'> = {
  id: '0190f3',
  type: 'fetch',
  queue: 'foreground',
  priority: 1,
  score: 0.73,
  why: { text: 'prices 31 minutes old', factors: { data_age: 0.5 } },
  symbol: 'BRK.B',
  triggered_by: 'user_login',
  enqueued_at: AT,
};
const examples: { [K in TopicKind]: [Draft<K>, string] } = {
  login: [{ userId: 'Zoë_1', at: AT, sessionId: 's' }, 'events/login'],
  refused: [
    { source: 'gateway', code: 'request.invalid', text: 'not valid: "at"', count: 3, account: 'hook', bytes: 41, at: AT },
    'events/refused',
  ],
  job: [job, 'stock/fetch/BRK_2EB'],
  work: [{}, 'mesh/work'],
  status: [{ id: '0190f3', type: 'fetch', state: 'running', attempt: 1, progress: { done: 1, total: 3 }, at: AT }, 'jobs/0190f3/status'],
  data: [{ symbol: '^GSPC', kind: 'bars', source: 'yahoo_finance', as_of: AT, rows: 251, through: '2026-01-02' }, 'data/_5EGSPC/bars'],
  portfolio: [
    {
      user_id: 'Zoë_1',
      at: AT,
      total: 2,
      queued: 1,
      fresh: 1,
      outdated: 0,
      missing: 0,
      unknown: 0,
      joined: 0,
      text: '1 of 2 symbols queued, 1 fresh',
      jobs: [],
      skipped: [{ symbol: 'IBM', reason: 'fresh' }],
    },
    'portfolio/Zo_C3_AB_5F1/priority',
  ],
  presence: [
    {
      service: 'worker',
      instance: 'w.1',
      state: 'online',
      session: SESSION,
      version: '0.1.0',
      capacity: 5,
      running: 0,
      at: AT,
      degraded: [],
    },
    'mesh/worker/w_2E1/state',
  ],
  stats: [
    {
      at: AT,
      depth: { 1: 4, 10: 0 },
      queues: [{ queue: 'foreground', ready: 4, running: 1, scheduled: 0, blocked: 0, oldest_s: 1.5 }],
      rates: { enqueued_per_s: 1, completed_per_s: 1, failed_per_s: 0 },
      workers: { online: 1, slots: 5, busy: 1 },
      utilisation: 0.2,
    },
    'mesh/stats',
  ],
  alert: [
    { name: 'queue_depth', state: 'raised', value: 1200, threshold: 1000, since: AT, text: '1200 jobs wait' },
    'alerts/queue_5Fdepth',
  ],
  control: [{ instance: 'w.1', action: 'cancel', job_id: '0190f3' }, 'control/w_2E1'],
};
const bytes = (value: unknown) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value));
const refusal = (code: string, text = '') => expect.objectContaining({ name: 'InputError', code, message: expect.stringContaining(text) });

test.each(Object.entries(examples))('%s is sent on its topic and understood again', (kind, [draft, topic]) => {
  const sent = encodeMessage(kind as TopicKind, draft as never);
  expect(sent.topic).toBe(topic);
  expect(parseMessage(sent.topic, bytes(sent.payload))).toMatchObject({ kind, body: { v: 1, ...draft } });
});

test.each(Object.entries(examples))('%s with a field that is not known is not sent', (kind, [draft]) => {
  const wrong = { ...draft, colour: 'red' };
  expect(() => encodeMessage(kind as TopicKind, wrong as never)).toThrow(refusal('message.invalid', 'unknown field "colour"'));
});

const { login: _, ...strict } = examples;
test.each(Object.entries(strict))('%s with a field that is not known is refused', (_kind, [draft, topic]) => {
  expect(() => parseMessage(topic, bytes({ v: 1, ...draft, colour: 'red' }))).toThrow(refusal('message.invalid', 'unknown field "colour"'));
});

test('of a login the fields that are not known are left out and counted', () => {
  const payload = '{"userId":"u1","colour":"red","__proto__":{"x":1}}';
  expect(parseMessage('events/login', bytes(payload))).toEqual({
    kind: 'login',
    params: {},
    body: { v: 1, userId: 'u1' },
    unknownFields: 2,
  });
});

describe('where a job is announced', () => {
  test.each<[Partial<Draft<'job'>>, string]>([
    [{ type: 'fetch', symbol: 'AAPL' }, 'stock/fetch/AAPL'],
    [{ type: 'batch_fetch', symbols: ['AAPL', 'IBM'] }, 'stock/fetch/batch'],
    [{ type: 'analysis', symbol: 'AAPL' }, 'stock/analysis/AAPL'],
    [{ type: 'rank', symbol: 'AAPL' }, 'stock/rank/AAPL'],
    [{ type: 'backfill', symbol: 'SPY' }, 'stock/backfill/SPY'],
    [{ type: 'later', symbol: undefined, user: 'user 1' }, 'stock/later/user_201'],
    [{ type: 'fetch', symbol: 'BATCH' }, 'stock/fetch/BATCH'],
  ])('%j: %s', (fields, topic) => {
    expect(encodeMessage('job', { ...job, ...fields }).topic).toBe(topic);
  });

  test.each(['Fetch', 'a/b', '', 'x'.repeat(25), '+'])('a type that cannot be a topic level is refused: %j', (type) => {
    expect(() => encodeMessage('job', { ...job, type })).toThrow(refusal('message.invalid', 'field "type"'));
  });

  test('no symbol can take the place of a batch', () => {
    expect(() => encodeMessage('job', { ...job, symbol: 'batch' })).toThrow(refusal('message.invalid', 'field "symbol" is "batch"'));
  });

  test('a job without what its topic is made of is refused with the missing field', () => {
    const { symbol: _, ...without } = job;
    expect(() => encodeMessage('job', without)).toThrow(refusal('message.invalid', '"symbol" is missing'));
  });
});

describe('a login', () => {
  test.each(['{"userId":"u1"}', '{"v":1,"userId":"用户 1","at":"2026-01-02T14:30:00.123+01:00"}'])('is understood: %s', (payload) => {
    expect(parseMessage('events/login', bytes(payload))).toMatchObject({ kind: 'login', params: {}, body: { v: 1 } });
  });

  test.each([
    ['not json', 'message.invalid_json', 'not json'],
    ['', 'message.empty', 'the payload is empty'],
    ['"u1"', 'message.invalid', 'payload is "u1"'],
    ['null', 'message.invalid', 'payload is null'],
    ['{}', 'message.invalid', 'field "userId" is missing'],
    ['{"userId":7}', 'message.invalid', 'field "userId" is 7'],
    ['{"userId":"   "}', 'message.invalid', 'field "userId" is "   "'],
    ['{"userId":"a\\u0000b"}', 'message.invalid', 'field "userId"'],
    ['{"userId":"\\ud800"}', 'message.invalid', 'field "userId"'],
    [`{"userId":"${'x'.repeat(65)}"}`, 'message.invalid', 'field "userId"'],
    ['{"userId":"u1","at":"yesterday"}', 'message.invalid', 'field "at" is "yesterday"'],
    ['{"userId":"u1","at":"2026-02-30T00:00:00Z"}', 'message.invalid', 'field "at"'],
    ['{"userId":"u1","v":2}', 'message.invalid', 'field "v" is 2'],
    ['{"userId":"u1","userId":"u2"}', 'message.name_twice', 'gives "userId" twice in one object, again at character 16'],
  ])('is refused with the reason: %s', (payload, code, text) => {
    expect(() => parseMessage('events/login', bytes(payload))).toThrow(refusal(code, text));
  });

  test.each(['not json: secret', '{"userId":7,"at":"secret"}', '"secret"', '{"userId":{"secret":1}}', '{"secret":1,"secret":1}'])(
    'is refused with a summary that repeats nothing of it: %s',
    (payload) => {
      try {
        parseMessage('events/login', bytes(payload));
        expect.unreachable();
      } catch (error) {
        expect((error as Error).message).toContain('secret');
        expect((error as InputError).summary).toMatch(/^(?!.*secret).*events\/login/);
      }
    },
  );

  test('a refusal names the first three of many wrong fields', () => {
    const payload = '{"userId":7,"at":1,"sessionId":2,"v":9}';
    expect(() => parseMessage('events/login', bytes(payload))).toThrow(
      expect.objectContaining({
        message: expect.stringMatching(/^events\/login: field "v" is 9: [^;]+; field "userId" is 7: [^;]+; field "at" is 1: [^;]+$/),
      }),
    );
  });

  test('a refusal does not repeat a megabyte of what was sent', () => {
    try {
      parseMessage('events/login', bytes({ userId: 'y'.repeat(60_000) }));
      expect.unreachable();
    } catch (error) {
      expect((error as Error).message.length).toBeLessThan(300);
    }
  });
});

describe('the size of a payload', () => {
  const padded = (total: number) => {
    const [draft] = examples.login;
    const payload = JSON.stringify({ ...draft, sessionId: '' });
    return payload.replace('"sessionId":""', `"sessionId":"s"${' '.repeat(total - Buffer.byteLength(payload) - 1)}`);
  };

  test('of 64 KiB is taken, of one byte more is refused with both sizes', () => {
    expect(parseMessage('events/login', bytes(padded(65_536)))).toMatchObject({ kind: 'login' });
    expect(() => parseMessage('events/login', bytes(padded(65_537)))).toThrow(refusal('message.too_large', '65537 bytes; at most 65536'));
  });

  test('is checked before a message is sent', () => {
    expect(() => encodeMessage('job', { ...job, why: { text: 'much', factors: 'é'.repeat(33_000) } })).toThrow(
      refusal('message.too_large'),
    );
  });

  test('of a portfolio always fits: the first jobs stay, the rest is cut and said to be', () => {
    const [draft] = examples.portfolio;
    const jobs = Array.from({ length: 2000 }, (_, n) => ({
      id: `j${n}`,
      symbol: 'AAPL',
      type: 'fetch' as const,
      priority: 1,
      queue: 'foreground',
      score: 0.5,
      why: { text: 'é'.repeat(20) },
      coalesced: false,
    }));
    const { payload } = encodeMessage('portfolio', { ...draft, jobs });
    const kept = JSON.parse(payload) as Body<'portfolio'>;
    expect(Buffer.byteLength(payload)).toBeLessThanOrEqual(MAX_PAYLOAD_BYTES);
    expect(Buffer.byteLength(payload)).toBeGreaterThan(MAX_PAYLOAD_BYTES - 400);
    expect(kept.truncated).toBe(true);
    expect(kept.jobs).toEqual(jobs.slice(0, kept.jobs.length));
    expect(parseMessage('portfolio/Zo_C3_AB_5F1/priority', bytes(payload))).toMatchObject({ kind: 'portfolio' });
  });
});

test('a portfolio that is too large loses skipped symbols before jobs', () => {
  const [draft] = examples.portfolio;
  const oneJob = {
    ...{ id: 'j1', symbol: 'AAPL', type: 'fetch', priority: 1, queue: 'foreground' },
    score: 1,
    why: { text: 'x' },
    coalesced: false,
  };
  const skipped = Array.from({ length: 3000 }, (_, n) => ({ symbol: `S${n}`, reason: 'its prices are fresh' }));
  const { payload } = encodeMessage('portfolio', { ...draft, jobs: [oneJob], skipped });
  const kept = JSON.parse(payload) as Body<'portfolio'>;
  expect(kept).toMatchObject({ truncated: true, jobs: [oneJob] });
  expect(kept.skipped.length).toBeGreaterThan(1000);
  expect(kept.skipped).toEqual(skipped.slice(0, kept.skipped.length));
  expect(JSON.parse(encodeMessage('portfolio', draft).payload)).not.toHaveProperty('truncated');
});

test('a payload that speaks for another topic is refused', () => {
  const { payload } = encodeMessage('presence', examples.presence[0]);
  expect(() => parseMessage('mesh/worker/w2/state', bytes(payload))).toThrow(
    refusal('message.invalid', 'belongs on "mesh/worker/w_2E1/state"'),
  );
});

test('a topic that is not in the table is refused', () => {
  expect(() => parseMessage('stock/fetch', bytes('{}'))).toThrow(refusal('message.unknown_topic', 'stock/fetch'));
});

test('a person reads a job as sentence and factors, in the order of the schema', () => {
  const shuffled = Object.fromEntries(Object.entries(job).reverse()) as Draft<'job'>;
  expect(encodeMessage('job', shuffled).payload).toBe(
    '{"v":1,"id":"0190f3","type":"fetch","queue":"foreground","priority":1,"score":0.73,"why":{"text":"prices 31 minutes old","factors":{"data_age":0.5}},"symbol":"BRK.B","triggered_by":"user_login","enqueued_at":"2026-01-02T14:30:00Z"}',
  );
});

describe('what names somebody', () => {
  const login =
    (userId: string, sessionId = 's1') =>
    () =>
      parseMessage('events/login', Buffer.from(JSON.stringify({ userId, sessionId })));

  test.each([
    ['a control', 'al\u001b[2Jice', 'U+001B'],
    ['a C1 control', 'al\u009bice', 'U+009B'],
    ['an override of the direction', 'al\u202eice', 'U+202E'],
    ['a zero-width space', 'al\u200bice', 'U+200B'],
    ['a no-break space', 'alice\u00a0', 'U+00A0'],
    ['a replacement character', 'al\ufffdice', 'U+FFFD'],
  ])('has no %s: it would look like another', (_, text, code) => {
    expect(login(text)).toThrow(`has the character ${code}`);
    expect(login('alice', text)).toThrow(`has the character ${code}`);
  });

  test('is in the composed form of Unicode, in which each name is one text', () => {
    expect(login('Ju\u0308rgen')).toThrow('composed form');
    expect(login('J\u00fcrgen')().body).toMatchObject({ userId: 'J\u00fcrgen' });
  });
});

describe('bytes that are not UTF-8', () => {
  // '{"userId":"J' are 12 bytes.
  const login = (...bytes: number[]) => Buffer.concat([Buffer.from('{"userId":"J'), Buffer.from(bytes), Buffer.from('rgen"}')]);

  test.each([
    ['Latin-1', [0xfc]],
    ['half a character', [0xc3]],
    ['a surrogate', [0xed, 0xa0, 0x80]],
  ])('of %s are refused with their place: read as U+FFFD two users would be one', (_, bytes) => {
    const byte = bytes[0]!.toString(16).toUpperCase();
    expect(() => parseMessage('events/login', login(...bytes))).toThrow(
      expect.objectContaining({
        code: 'message.not_utf8',
        message: `events/login: byte 13 of the payload is 0x${byte}, which is not UTF-8 there; send JSON in UTF-8`,
      }),
    );
  });

  test('are none in a name of two bytes a letter', () => {
    expect(parseMessage('events/login', login(0xc3, 0xbc)).body).toMatchObject({ userId: 'Jürgen' });
  });
});

test('a login is not refused for a context of a trace that cannot be one', () => {
  const { body } = parseMessage('events/login', Buffer.from(JSON.stringify({ userId: 'alice', traceparent: 5 })));
  expect(body).toMatchObject({ userId: 'alice', traceparent: undefined });
});
