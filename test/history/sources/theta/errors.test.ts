/** What each answer and each interruption of a terminal leads to. The codes are those of the vendor's table. */
import { readdir } from 'node:fs/promises';
import { beforeEach, describe, expect, test } from 'vitest';
import type { Dataset } from '../../../../services/history/dataset.ts';
import { NotEntitledError, StopError } from '../../../../services/history/sources/source.ts';
import { PermanentError, TransientError } from '../../../../services/platform/errors.ts';
import { databaseOfFile } from '../../../support/database.ts';
import { fetchObject, objectOf, sourceOf, terminalOf, type Version } from './support/bench.ts';
import { HOURS, testChain } from './support/chain.ts';
import { firstDifference, readRows } from './support/read.ts';
import type { Fault } from './support/server.ts';

const { db } = await databaseOfFile();
beforeEach(() => db.run('DELETE FROM history_budgets'));

const DAY = '2024-01-03';
const QUOTES: Dataset = { asset: 'option', schema: 'quote', interval: '30m' };
const OBJECT = objectOf(QUOTES, DAY);
const EXPECTED = testChain().stored('option', [DAY], { schema: 'quote', intervalMs: 1_800_000, ...HOURS });
const ALWAYS = { times: Number.POSITIVE_INFINITY };

/** Downloads the object from a terminal with these faults. */
async function fetchWith(version: Version, faults: Fault[], more: Parameters<typeof terminalOf>[1] = {}) {
  const terminal = await terminalOf(version, { faults, ...more });
  const fetched = fetchObject(sourceOf({ db, url: terminal.url }), OBJECT);
  return { terminal, fetched, error: fetched.catch((thrown: unknown) => thrown) };
}

describe.each<Version>(['v3', 'v2'])('%s', (version) => {
  test.each([
    [401, StopError, 'theta.refused', /history\.theta\.url/],
    [403, StopError, 'theta.refused', /refuses/],
    [404, StopError, 'theta.no_endpoint', /update the terminal/],
    [471, NotEntitledError, 'theta.not_entitled', /subscription/],
    [473, StopError, 'theta.bad_request', /parameters/],
    [475, PermanentError, 'theta.not_parsed', /could not read/],
    [476, StopError, 'theta.wrong_address', /127\.0\.0\.1 or localhost/],
    [478, StopError, 'theta.other_session', /second terminal/],
    [418, PermanentError, 'theta.unexpected', /418/],
  ])('%i stops at once, with the way out', async (status, kind, code, text) => {
    const { terminal, error } = await fetchWith(version, [{ status, text: 'the terminal says this', ...ALWAYS }]);
    expect(await error).toBeInstanceOf(kind);
    expect(await error).toMatchObject({ code, message: expect.stringMatching(text) });
    expect(((await error) as Error).message).toContain(`(${status}: "the terminal says this")`);
    expect(terminal.requests).toHaveLength(1);
  });

  test.each([
    [429, 6, 'theta.busy'],
    [470, 3, 'theta.general'],
    [474, 3, 'theta.disconnected'],
    [477, 3, 'theta.page_gone'],
    [571, 3, 'theta.restarting'],
    [572, 3, 'theta.uncaught'],
    [500, 3, 'theta.unavailable'],
    [503, 3, 'theta.unavailable'],
  ])('%i is asked again: the last of %i tries succeeds, and one failure more fails the object for now', async (status, tries, code) => {
    const { terminal, fetched } = await fetchWith(version, [{ status, times: tries - 1 }]);
    expect(firstDifference(await readRows((await fetched).files, OBJECT), EXPECTED)).toBeUndefined();
    expect((await fetched).requests.slice(0, tries).map((request) => request.status)).toEqual([...Array(tries - 1).fill(status), 200]);
    terminal.forget();
    terminal.fault({ status, ...ALWAYS });
    const error = await fetchObject(sourceOf({ db, url: terminal.url }), OBJECT).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(TransientError);
    expect(error).toMatchObject({ code });
    expect(terminal.requests).toHaveLength(tries);
  });

  test('472 is no data', async () => {
    const { fetched } = await fetchWith(version, [{ status: 472 }]);
    expect((await fetched).files).toEqual([]);
  });

  test.each(['connection', 'line', 'nothing'] as const)('an answer cut (%s) is asked again, and leaves no file', async (cut) => {
    const { fetched } = await fetchWith(version, [{ cut, times: 2 }]);
    const { files, requests } = await fetched;
    expect(firstDifference(await readRows(files, OBJECT), EXPECTED)).toBeUndefined();
    expect(requests.slice(0, 3).map(({ status }) => status)).toEqual([0, 0, 200]);
    const folder = files[0]!.path.replace(/\/[^/]+$/, '');
    expect((await readdir(folder)).map((name) => `${folder}/${name}`)).toEqual(files.map(({ path }) => path));
  });

  test.each(['connection', 'line', 'nothing'] as const)(
    'an answer that is always cut (%s) is no data and no short file, but an error',
    async (cut) => {
      const { terminal, error } = await fetchWith(version, [{ cut, ...ALWAYS }]);
      expect(await error).toBeInstanceOf(TransientError);
      expect(await error).toMatchObject({ code: cut === 'nothing' ? 'theta.network' : 'theta.cut' });
      expect(terminal.requests).toHaveLength(3);
    },
  );

  test('an empty answer is no "no data"', async () => {
    const { error } = await fetchWith(version, [{ body: '', ...ALWAYS }]);
    expect(await error).toMatchObject({ code: 'theta.cut' });
  });

  test.each([
    ['an unknown column', 'surprise', /unknown: surprise/],
    ['a missing column', undefined, /missing: .*bid/],
  ])('%s fails the object', async (_name, column, text) => {
    const terminal = await terminalOf(version);
    const good = await fetchObject(sourceOf({ db, url: terminal.url }), OBJECT);
    const names = Object.keys(good.files[0]!.layout.columns);
    const header = column === undefined ? names.filter((name) => name !== 'bid') : [...names, column];
    terminal.fault({ body: `${header.join(',')}\n${header.map(() => '0').join(',')}\n` });
    const object = objectOf({ ...QUOTES, interval: '1m' }, DAY);
    await expect(fetchObject(sourceOf({ db, url: terminal.url }), object)).rejects.toMatchObject({
      name: 'PermanentError',
      code: 'history.malformed',
      message: expect.stringMatching(text),
    });
  });

  test("an answer that is another program's is shown shortened and without secrets", async () => {
    const body = `<html><body>token=abcdefgh12345&password=hunter2 ${'x'.repeat(9_000)}`;
    const { error } = await fetchWith(version, [{ status: 500, text: body, ...ALWAYS }]);
    const { message } = (await error) as Error;
    expect(message.length).toBeLessThan(700);
    const html = await (await fetchWith(version, [{ body: `${'<'.repeat(9_000)}\n` }])).error;
    expect(html).toMatchObject({ name: 'PermanentError', code: 'history.malformed' });
  });

  test('a line of text with status 200 is no "no data"', async () => {
    const { error } = await fetchWith(version, [{ body: 'The terminal is busy\n' }]);
    expect(await error).toMatchObject({ name: 'PermanentError', code: 'history.malformed' });
  });

  test('an answer that takes longer than history.theta.timeout is given up and asked again', async () => {
    const gate = Promise.withResolvers<void>();
    const terminal = await terminalOf(version, { tier: 'pro', faults: [{ hold: gate.promise }] });
    const { files, requests } = await fetchObject(sourceOf({ db, url: terminal.url, timeout: 2 }), OBJECT);
    gate.resolve();
    expect(requests[0]).toMatchObject({ status: 0 });
    expect(firstDifference(await readRows(files, OBJECT), EXPECTED)).toBeUndefined();
  });

  test('a cancel ends a download at once, with its own reason, and gives the slot back', async () => {
    const gate = Promise.withResolvers<void>();
    const cancel = new AbortController();
    const terminal = await terminalOf(version, { faults: [{ hold: gate.promise }] });
    const fetched = fetchObject(sourceOf({ db, url: terminal.url }), OBJECT, { signal: cancel.signal });
    while (terminal.requests.length === 0) await new Promise((resolve) => setImmediate(resolve));
    cancel.abort(new Error('cancelled by a person'));
    await expect(fetched).rejects.toThrow('cancelled by a person');
    gate.resolve();
    expect(await db.rows('SELECT slot FROM history_budgets WHERE holder IS NOT NULL')).toEqual([]);
  });

  test('user and password of the address are sent and shown nowhere', async () => {
    const terminal = await terminalOf(version, { faults: [{ status: 475 }] });
    const url = terminal.url.replace('http://', 'http://anna:hunter2@');
    const error = await fetchObject(sourceOf({ db, url }), OBJECT).catch((thrown: Error) => thrown);
    expect(String(error)).not.toMatch(/anna|hunter2/);
    const { requests } = await fetchObject(sourceOf({ db, url }), OBJECT);
    expect(JSON.stringify(requests)).not.toMatch(/anna|hunter2/);
  });
});

describe('pages of v2', () => {
  // 24 contracts of 406 minutes are 9744 rows: 20 pages of 500.
  test('are followed to the end at the address that we know, and thinned', async () => {
    const { terminal, fetched } = await fetchWith('v2', []);
    expect(firstDifference(await readRows((await fetched).files, OBJECT), EXPECTED)).toBeUndefined();
    expect(terminal.requests).toHaveLength(20);
    expect((await fetched).requests.map(({ url }) => new URL(url).host)).toEqual(Array(20).fill(new URL(terminal.url).host));
  });

  test.each<[string, Fault]>([
    ['that has expired', { on: /page\/5$/, status: 477 }],
    ['that leads to itself', { on: /page\/5$/, page: 'repeats' }],
    ['that comes twice', { on: /page\/5$/, page: 'same' }],
    ['that has no data', { on: /page\/5$/, status: 472 }],
    ['that is cut', { on: /page\/5$/, cut: 'line' }],
  ])('a page %s is no end: the answer is asked for from its beginning again', async (_name, fault) => {
    const { terminal, fetched } = await fetchWith('v2', [fault]);
    expect(firstDifference(await readRows((await fetched).files, OBJECT), EXPECTED)).toBeUndefined();
    expect(terminal.requests.filter((path) => path.includes('bulk_hist'))).toHaveLength(2);
  });

  test('a chain that always breaks is an error', async () => {
    const { error } = await fetchWith('v2', [{ on: /page/, status: 477, ...ALWAYS }]);
    expect(await error).toMatchObject({ name: 'TransientError', code: 'theta.page_gone' });
  });
});

describe('the terminal', () => {
  const usual = (v3: string, v2: string) => [
    { version: 'v3' as const, base: v3 },
    { version: 'v2' as const, base: v2 },
  ];

  test('of version 3 is preferred, and looked for once', async () => {
    const [three, two] = [await terminalOf('v3'), await terminalOf('v2')];
    const source = sourceOf({ db, url: null, usual: usual(three.url, two.url) });
    expect((await fetchObject(source, OBJECT)).version).toBe('theta v3');
    expect(two.requests).toEqual([]);
  });

  test('of version 2 is found when there is none of version 3, and the other one when it has gone', async () => {
    const three = await terminalOf('v3');
    const two = await terminalOf('v2');
    await three.close();
    const source = sourceOf({ db, url: null, usual: usual(three.url, two.url) });
    expect((await fetchObject(source, OBJECT)).version).toBe('theta v2');
    await two.close();
    await terminalOf('v3', { port: three.port });
    await expect(fetchObject(source, OBJECT)).rejects.toMatchObject({ name: 'TransientError', code: 'theta.other_terminal' });
    expect((await fetchObject(source, OBJECT)).version).toBe('theta v3');
  });

  test('that is not there is an error that says how to start it', async () => {
    const [three, two] = [await terminalOf('v3'), await terminalOf('v2')];
    await Promise.all([three.close(), two.close()]);
    const source = sourceOf({ db, url: null, usual: usual(three.url, two.url) });
    const error = await fetchObject(source, OBJECT).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(TransientError);
    expect(error).toMatchObject({
      code: 'theta.no_terminal',
      message: expect.stringMatching(/java -jar ThetaTerminalv3\.jar.*history\.theta\.url/),
    });
    expect((error as Error).message).toContain('ECONNREFUSED');
  });

  test('that goes away in the middle says so', async () => {
    const terminal = await terminalOf('v3');
    const source = sourceOf({ db, url: terminal.url });
    await fetchObject(source, OBJECT);
    await terminal.close();
    await expect(fetchObject(source, OBJECT)).rejects.toMatchObject({ name: 'TransientError', code: 'theta.no_terminal' });
    await terminalOf('v3', { port: terminal.port });
    expect((await fetchObject(source, OBJECT)).files).toHaveLength(1);
  });

  test('another program on its port is recognised', async () => {
    const two = await terminalOf('v2');
    const error = await fetchObject(sourceOf({ db, url: `http://127.0.0.1:${two.port}/v3` }), OBJECT).catch((thrown: Error) => thrown);
    expect(error).toMatchObject({
      code: 'theta.no_terminal',
      message: expect.stringMatching(/something else than a Theta Terminal v3 answers there \(404/),
    });
  });

  test('an address without a version is asked for both', async () => {
    const two = await terminalOf('v2');
    expect((await fetchObject(sourceOf({ db, url: `http://127.0.0.1:${two.port}/` }), OBJECT)).version).toBe('theta v2');
  });

  test.each([
    ['DISCONNECTED', TransientError, 'theta.disconnected'],
    ['UNVERIFIED', StopError, 'theta.login_refused'],
  ])('that is %s is not asked', async (state, kind, code) => {
    const terminal = await terminalOf('v3', { state });
    const error = await fetchObject(sourceOf({ db, url: terminal.url }), OBJECT).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(kind);
    expect(error).toMatchObject({ code });
    expect(terminal.requests).toEqual([]);
  });
});

test('a free account is asked for the end of the day only', () => {
  const source = sourceOf({ db, url: null, tier: 'free' });
  expect(source.refuses(QUOTES)).toMatch(/free subscription/);
  expect(source.refuses({ asset: 'option', schema: 'eod', interval: '1d' })).toBeUndefined();
  expect(sourceOf({ db, url: null }).refuses(QUOTES)).toBeUndefined();
});
