import { expect, test } from 'vitest';
import { ranking } from '../../../services/gateway/routes/ranking-schemas.ts';
import { SORTS } from '../../../services/market/options/ranking/rank-columns.ts';
import { whatWouldChange } from '../../../services/market/options/ranking/what-would-change.ts';
import { explain } from '../../../services/market/options/ranking/why.ts';
import { MODES, RANK_COLUMN } from '../../../services/market/options/scoring/parts.ts';
import { readRun, storeRuns } from '../../../services/market/options/store/runs.ts';
import { inventRun } from '../../market/options/ranking/invented-run.ts';
import { type Answer, gatewayMesh } from '../mesh.ts';
import { publishRuns, withoutRankings } from './ranking-rows.ts';

const mesh = gatewayMesh();
withoutRankings(mesh);
const PATH = '/v1/rankings';
const get = (query: string) => mesh.operator.get(`${PATH}?${query}`);
const rankedBy = (answer: Answer, column: string): (number | string | null)[] =>
  answer.body.ranks.map((rank: Record<string, unknown>) => rank[column]);

test.each(MODES)('a %s run is answered with every stored field of every rank, and nothing that is not documented', async (mode) => {
  await publishRuns(mesh.db);
  const { status, body } = await get(`symbol=acme&mode=${mode}&limit=500`);
  expect(status).toBe(200);
  const stored = (await readRun(mesh.db, 'ACME', mode, { limit: 500 }))!;
  const { run_id: _, ...run } = stored.run;
  expect(body).toMatchObject(JSON.parse(JSON.stringify(run)));
  expect(body.ranks).toEqual(JSON.parse(JSON.stringify(stored.ranks.map((rank) => ({ ...rank, quoted_at: new Date(rank.quoted_at) })))));
  expect(body).toMatchObject({ totalRanks: stored.matching, simulated: false, state: null, next: null, filters: { limit: 500 } });
  expect(ranking.safeParse(body).error).toBeUndefined();
  for (const rank of body.ranks) {
    const own = RANK_COLUMN[mode];
    const sum = Object.entries<number>(rank.weights[own]).reduce((total, [part, weight]) => total + weight * rank[part], 0);
    expect(rank[own]).toBe(Math.round(sum * 1e4 + 1e-6) / 1e4);
    expect(rank).toMatchObject({ missing: expect.any(Array), data_quality: expect.any(Number), composite_rank: expect.any(Number) });
  }
});

test('with why=true each rank is explained, by what is stored with it', async () => {
  await publishRuns(mesh.db, ['entry']);
  const { body } = await get('symbol=ACME&mode=entry&limit=3&why=true');
  const stored = (await readRun(mesh.db, 'ACME', 'entry', { limit: 3 }))!;
  expect(body.ranks.map(({ why }: { why: unknown }) => why)).toEqual(
    stored.ranks.map((rank) => ({ ...explain(rank), changes: whatWouldChange(rank, mesh.config.ranking.rules) })),
  );
  const [first] = body.ranks;
  expect(first.why.parts.reduce((sum: number, { points }: { points: number }) => sum + points, 0)).toBeCloseTo(first.entry_rank, 4);
  expect(ranking.safeParse(body).error).toBeUndefined();
});

test('a ranking that is read again is the same, with and without the reasons, in whatever order', async () => {
  await publishRuns(mesh.db, ['entry']);
  const query = 'symbol=ACME&mode=entry&limit=5';
  const first = await get(query);
  const explained = await get(`${query}&why=true`);
  expect((await get(query)).body).toEqual(first.body);
  expect((await get(`${query}&why=true`)).body).toEqual(explained.body);
  expect(explained.body.ranks.map(({ why: _, ...rank }: { why: unknown }) => rank)).toEqual(first.body.ranks);
  expect(first.body.ranks[0]).not.toHaveProperty('why');
  const sorted = await get(`${query}&sort=strike`);
  expect(sorted.body.ranks.map(({ place }: { place: number }) => place)).not.toEqual([1, 2, 3, 4, 5]);
  expect(rankedBy(sorted, 'strike')).toEqual(rankedBy(await get(`${query}&sort=strike`), 'strike'));
});

test('every filter holds, and the answer repeats it', async () => {
  await publishRuns(mesh.db, ['entry']);
  const all = (await readRun(mesh.db, 'ACME', 'entry', { limit: 500 }))!.ranks;
  const expiry = all[0]!.expiration;
  const least = all[Math.floor(all.length / 2)]!.entry_rank!;
  const asked: [query: string, fits: (rank: (typeof all)[number]) => boolean, filters: object][] = [
    ['side=put', ({ side }) => side === 'put', { side: 'put' }],
    [`expiry=${expiry}`, ({ expiration }) => expiration === expiry, { expiry }],
    ['signal=greeks', ({ signals }) => signals.includes('greeks'), { signal: 'greeks' }],
    [`min_rank=${least}`, ({ entry_rank }) => entry_rank! >= least, { minRank: least }],
    [`contract=${all[3]!.contract}`, ({ contract }) => contract === all[3]!.contract, { contract: all[3]!.contract }],
  ];
  for (const [query, fits, filters] of asked) {
    const answer = await get(`symbol=ACME&mode=entry&limit=500&${query}`);
    const expected = all.filter(fits).map(({ contract }) => contract);
    expect([expected.length > 0, expected.length < all.length], query).toEqual([true, true]);
    expect(rankedBy(answer, 'contract'), query).toEqual(expected);
    expect(answer.body.totalRanks, query).toBe(expected.length);
    expect(answer.body.filters, query).toEqual({ ...filters, limit: 500 });
  }
});

test('it is sorted by every column that is offered, what is missing last', async () => {
  await publishRuns(mesh.db, ['entry']);
  for (const [sort, direction] of Object.entries(SORTS).filter(([name]) => name !== 'exit_rank')) {
    const values = rankedBy(await get(`symbol=ACME&mode=entry&limit=500&sort=${sort}`), sort);
    const known = values.filter((value) => value !== null);
    const sign = direction === 'ASC' ? 1 : -1;
    expect(values, sort).toEqual([
      ...known.toSorted((a, b) => sign * (a < b ? -1 : Number(a > b))),
      ...Array(values.length - known.length).fill(null),
    ]);
  }
});

test('it is read page by page, each rank once', async () => {
  await publishRuns(mesh.db, ['monitor']);
  const seen: unknown[] = [];
  for (let next = ''; ; ) {
    const answer = await get(`symbol=ACME&limit=30${next}`);
    seen.push(...rankedBy(answer, 'place'));
    if (answer.body.next === null) break;
    next = `&cursor=${answer.body.next}`;
  }
  expect(seen).toEqual(Array.from({ length: 100 }, (_, index) => index + 1));
});

test.each([
  ['no symbol', '', 'symbol'],
  ['a symbol that is none', 'symbol=%3F', 'symbol'],
  ['an unknown mode', 'symbol=ACME&mode=buy', 'mode'],
  ['an unknown side', 'symbol=ACME&side=long', 'side'],
  ['a day that is none', 'symbol=ACME&expiry=2026-02-30', 'expiry'],
  ['an unknown signal', 'symbol=ACME&signal=moon', 'signal'],
  ['an unknown sort', 'symbol=ACME&sort=best', 'sort'],
  ['an empty least rank', 'symbol=ACME&min_rank=', 'min_rank'],
  ['a least rank over 100', 'symbol=ACME&min_rank=100.5', 'min_rank'],
  ['limit 0', 'symbol=ACME&limit=0', 'limit'],
  ['limit 501', 'symbol=ACME&limit=501', 'limit'],
  ['a contract that is none', 'symbol=ACME&contract=ACME', 'contract'],
  ['why that is neither', 'symbol=ACME&why=please', 'why'],
  ['an unknown parameter', 'symbol=ACME&strategy=entry', 'strategy'],
  ['a parameter twice', 'symbol=ACME&symbol=AAPL', 'symbol'],
])('%s is 400 and named', async (_, query, field) => {
  await publishRuns(mesh.db, ['monitor']);
  expect(await get(query)).toMatchObject({ status: 400, body: { code: 'request.invalid', errors: [{ in: 'query', field }] } });
});

test('an unknown sort is answered with those that there are, that of another mode as well', async () => {
  const unknown = (await get('symbol=ACME&sort=best')).body.errors[0].message;
  for (const name of ['composite_rank', 'entry_rank', 'theta', 'open_interest'].filter((one) => one in SORTS))
    expect(unknown).toContain(name);
  expect(await get('symbol=ACME&mode=entry&sort=exit_rank')).toMatchObject({
    status: 400,
    body: { code: 'ranks.unknown_sort', detail: expect.stringContaining('entry_rank') },
  });
});

test('a cursor that is none, or of a run that is gone, is 400', async () => {
  await publishRuns(mesh.db, ['monitor']);
  expect(await get('symbol=ACME&cursor=7')).toMatchObject({ status: 400, body: { code: 'ranks.bad_cursor' } });
  const { next } = (await get('symbol=ACME&limit=1')).body;
  await mesh.db.run('DELETE FROM option_runs');
  expect(await get(`symbol=ACME&cursor=${next}`)).toMatchObject({ status: 400, body: { code: 'ranks.cursor_gone' } });
});

test('in exit mode a user sees only positions of this user and no count of others; a caller with the scope read sees all', async () => {
  await publishRuns(mesh.db);
  const query = `${PATH}?symbol=ACME&mode=exit&limit=500`;
  const alice = await mesh.caller('user:alice');
  const reader = await mesh.caller('read');
  const own = await alice.get(query);
  expect(new Set(rankedBy(own, 'user_id'))).toEqual(new Set(['alice']));
  expect(own.body).toMatchObject({
    total: null,
    eligible: null,
    reasons: null,
    totalRanks: own.body.ranks.length,
    filters: { user: 'alice' },
  });
  expect(ranking.safeParse(own.body).error).toBeUndefined();
  const all = await reader.get(query);
  expect(new Set(rankedBy(all, 'user_id'))).toEqual(new Set(['alice', 'bob']));
  expect(all.body.eligible).toBe(all.body.totalRanks);
  expect(new Set(rankedBy(await reader.get(`${query}&user=bob`), 'user_id'))).toEqual(new Set(['bob']));
  expect((await alice.get(`${query}&user=bob`)).status).toBe(403);
  expect((await (await mesh.caller('jobs')).get(query)).status).toBe(403);
  expect((await alice.get(`${PATH}?symbol=ACME&mode=entry`)).body.ranks).toHaveLength(50);
});

test('in exit mode a user sees the places among the own positions, on every page and in every order', async () => {
  await publishRuns(mesh.db);
  const query = `${PATH}?symbol=ACME&mode=exit`;
  const alice = await mesh.caller('user:alice');
  const whole = await alice.get(`${query}&limit=500`);
  const count = whole.body.ranks.length;
  expect(rankedBy(whole, 'place')).toEqual(Array.from({ length: count }, (_, index) => index + 1));
  expect(rankedBy(await alice.get(`${query}&limit=500&sort=dte`), 'place').toSorted((a, b) => Number(a) - Number(b))).toEqual(
    rankedBy(whole, 'place'),
  );
  const { next } = (await alice.get(`${query}&limit=1`)).body;
  expect(rankedBy(await alice.get(`${query}&limit=1&cursor=${next}`), 'place')).toEqual([2]);
});

test('in exit mode the positions that are not ranked are named with their reason, to a user only those of this user', async () => {
  const run = inventRun('exit');
  const of = (position: string) => ({
    position,
    contract: 'ACME1260320C00100000',
    reason: 'not_quoted' as const,
    why: 'it is an adjusted contract',
  });
  const owners = new Map([...(run.owners ?? []), ['a', 'alice'], ['b', 'bob']] as [string, string][]);
  await mesh.db.transaction((tx) => storeRuns(tx, [{ ...run, ranked: { ...run.ranked, leftOut: [of('a'), of('b')] }, owners }]));
  const query = `${PATH}?symbol=ACME&mode=exit`;
  expect((await (await mesh.caller('user:alice')).get(query)).body.left_out).toEqual([{ ...of('a'), user: 'alice' }]);
  const all = await (await mesh.caller('read')).get(query);
  expect(all.body.left_out).toEqual([
    { ...of('a'), user: 'alice' },
    { ...of('b'), user: 'bob' },
  ]);
  expect(ranking.safeParse(all.body).error).toBeUndefined();
});

test('a user makes no sense where no positions are ranked', async () => {
  expect(await get('symbol=ACME&mode=entry&user=alice')).toMatchObject({
    status: 400,
    body: { code: 'ranks.not_of_users', detail: expect.stringContaining('"user"') },
  });
});

test('the documentation names every field of a rank with its unit, and every sort', async () => {
  const { paths, components } = (await mesh.anonymous.get('/openapi.json')).body;
  const { parameters, responses } = paths[PATH].get;
  const sort = parameters.find(({ name }: { name: string }) => name === 'sort');
  expect(sort.schema.enum).toEqual(Object.keys(SORTS));
  const named: string = responses['200'].content['application/json'].schema.$ref;
  const answer = components.schemas[named.replace('#/components/schemas/', '')];
  await publishRuns(mesh.db, ['entry']);
  const [rank] = (await get('symbol=ACME&mode=entry&limit=1')).body.ranks;
  const documented = answer.properties.ranks.items.properties;
  expect(
    Object.keys(documented)
      .filter((name) => name !== 'why')
      .sort(),
  ).toEqual(Object.keys(rank).sort());
  expect(documented.theta.description).toContain('Dollars a share and calendar day');
});
