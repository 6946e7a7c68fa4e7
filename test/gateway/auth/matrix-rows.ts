/**
 * Who may do what over HTTP: for every route the class of its rule, and the request that tries it. The rules of a class say what each caller gets; the test asks every
 * route as every caller for the own thing, one of another user, and one that both users asked for.
 */

import { unsubscribeLink } from '../../../services/platform/notify/unsubscribe.ts';
import type { AuditedAction } from '../../../services/platform/registry/audit.ts';

/** What a caller gets. `hidden`: 404, as if the thing did not exist. */
export type Verdict = 'allowed' | 'no key' | 'forbidden' | 'hidden';

/** Alice's key is of the user alice. */
export const CALLERS = ['anonymous', 'revoked', 'expired', 'login', 'read', 'jobs', 'admin', 'alice'] as const;
export type CallerName = (typeof CALLERS)[number];

/** Whose thing is meant: of alice alone, of bob alone, or of both. */
export const OWNERS = ['own', 'foreign', 'joined'] as const;
export type Owner = (typeof OWNERS)[number];

type Rules = Record<Exclude<CallerName, 'anonymous' | 'revoked' | 'expired'>, Verdict | Record<Owner, Verdict>>;

const ofAlice = (foreign: Verdict): Record<Owner, Verdict> => ({ own: 'allowed', foreign, joined: 'allowed' });

/** What each class of routes grants. Without a key in force it is `no key`, except where `open`. */
export const CLASSES = {
  open: { login: 'allowed', read: 'allowed', jobs: 'allowed', admin: 'allowed', alice: 'allowed' },
  /** Data of the market, and what every key may ask for itself. */
  market: { login: 'forbidden', read: 'allowed', jobs: 'allowed', admin: 'allowed', alice: 'allowed' },
  /** The state of the whole mesh. */
  mesh: { login: 'forbidden', read: 'allowed', jobs: 'forbidden', admin: 'allowed', alice: 'forbidden' },
  work: { login: 'forbidden', read: 'forbidden', jobs: 'allowed', admin: 'allowed', alice: 'forbidden' },
  admin: { login: 'forbidden', read: 'forbidden', jobs: 'forbidden', admin: 'allowed', alice: 'forbidden' },
  job: { login: 'forbidden', read: 'allowed', jobs: 'forbidden', admin: 'allowed', alice: ofAlice('hidden') },
  control: { login: 'forbidden', read: 'forbidden', jobs: 'allowed', admin: 'allowed', alice: ofAlice('hidden') },
  /** Work in the name of a user. */
  ask: { login: 'forbidden', read: 'forbidden', jobs: 'allowed', admin: 'allowed', alice: ofAlice('forbidden') },
  login: { login: 'allowed', read: 'forbidden', jobs: 'allowed', admin: 'allowed', alice: ofAlice('forbidden') },
  /** What belongs to one user, to be read and to be written. */
  holder: { login: 'forbidden', read: 'allowed', jobs: 'forbidden', admin: 'allowed', alice: ofAlice('forbidden') },
  owner: { login: 'forbidden', read: 'forbidden', jobs: 'forbidden', admin: 'allowed', alice: ofAlice('forbidden') },
} satisfies Record<string, Rules>;

export function verdictOf(row: Row, caller: CallerName, owner: Owner): Verdict {
  if (caller === 'anonymous' || caller === 'revoked' || caller === 'expired') return row.class === 'open' ? 'allowed' : 'no key';
  const rule: Verdict | Record<Owner, Verdict> = CLASSES[row.class][caller];
  return typeof rule === 'string' ? rule : rule[owner];
}

/** The things that a request names. Those of one try are of nobody else's try. */
export interface Things {
  user: string;
  symbol: string;
  /** Live, and of `user`, or of both users. */
  job(): Promise<string>;
  endedJob(): Promise<string>;
  position(): Promise<string>;
  key(): Promise<string>;
  /** A paid call of which nobody knows whether it was paid for. */
  call(): Promise<string>;
  /** Of one use, which signs in with a key of `user`. */
  code(): Promise<string>;
}

export interface Row {
  class: keyof typeof CLASSES;
  /** The path, and the body where there is one. */
  request(things: Things): Promise<[path: string, body?: unknown]> | [path: string, body?: unknown];
  /** An answer that an allowed request may get beside 2xx. */
  mayAnswer?: string;
  /** What the audit log says of it; nothing of requests for work. Every route that is not read from has one or the other. */
  audited?: AuditedAction | 'not a change by hand';
  /** No operation of the document. */
  hidden?: true;
}

const job =
  (suffix = ''): Row['request'] =>
  async (things) => [`/v1/jobs/${await things.job()}${suffix}`];
const user =
  (suffix: string, body?: unknown): Row['request'] =>
  (things) =>
    [`/v1/users/${things.user}${suffix}`, ...(body === undefined ? [] : [body])] as [string, unknown?];
const market = (suffix = ''): Row => ({
  class: 'market',
  mayAnswer: 'symbol.unknown',
  request: ({ symbol }) => [`/v1/symbols/${symbol}${suffix}`],
});
const at =
  (path: string, body?: unknown): Row['request'] =>
  () =>
    [path, ...(body === undefined ? [] : [body])] as [string, unknown?];

const download = (path: string, more: object = {}): Row => ({
  class: 'ask',
  audited: 'not a change by hand',
  request: ({ user: of, symbol }) => [
    path,
    { root: symbol, start_date: '2024-01-02', end_date: '2024-01-03', schema: 'eod', user: of, ...more },
  ],
});
const stored = (path: string): Row => ({ class: 'market', request: ({ symbol }) => [`/v1/history/${path}&root=${symbol}`] });

/** The configuration of the gateway that is asked. */
export const LINKS = {
  'gateway.public_url': 'https://mesh.example.com',
  'notify.unsubscribe_secret': 'of the matrix, 32 characters and more',
};
const linkFor = (who: string): string => {
  const { 'gateway.public_url': public_url, 'notify.unsubscribe_secret': unsubscribe_secret } = LINKS;
  return unsubscribeLink({ gateway: { public_url }, notify: { unsubscribe_secret } }, { who, events: ['job.failed'] })!.slice(
    public_url.length,
  );
};

const HOLDINGS = { positions: [{ symbol: 'AAPL', quantity: 1 }] };
const NEW_KEY = { name: 'made', scopes: ['read'] };

export const ROWS: Record<string, Row> = {
  'GET /healthz': { class: 'open', request: at('/healthz') },
  'GET /readyz': { class: 'open', request: at('/readyz') },
  'GET /metrics': { class: 'open', request: at('/metrics') },
  'GET /openapi.json': { class: 'open', hidden: true, request: at('/openapi.json') },

  // Without a build of the dashboard they say so.
  'GET /': { class: 'open', hidden: true, mayAnswer: 'dashboard.not_built', request: at('/') },
  'GET /ui': { class: 'open', hidden: true, mayAnswer: 'dashboard.not_built', request: at('/ui') },
  'GET /ui/*': { class: 'open', hidden: true, mayAnswer: 'dashboard.not_built', request: at('/ui/jobs?state=failed') },

  'POST /v1/session': { class: 'open', audited: 'session.open', request: async (things) => ['/v1/session', { code: await things.code() }] },
  'DELETE /v1/session': { class: 'open', audited: 'not a change by hand', request: at('/v1/session') },
  'GET /v1/me': { class: 'market', request: at('/v1/me') },

  'POST /v1/events/login': {
    class: 'login',
    audited: 'not a change by hand',
    request: ({ user: userId }) => ['/v1/events/login', { userId }],
  },

  'POST /v1/jobs': {
    class: 'ask',
    audited: 'not a change by hand',
    request: ({ user: of, symbol }) => ['/v1/jobs', { type: 'fetch', symbol, user: of }],
  },
  'GET /v1/jobs': { class: 'holder', request: ({ user: of }) => [`/v1/jobs?user=${of}`] },
  'GET /v1/job-types': { class: 'market', request: at('/v1/job-types') },
  'GET /v1/find': { class: 'market', request: at('/v1/find?q=bob') },
  'GET /v1/jobs/counts': { class: 'holder', request: ({ user: of }) => [`/v1/jobs/counts?user=${of}`] },
  'GET /v1/jobs/codes': { class: 'holder', request: ({ user: of }) => [`/v1/jobs/codes?user=${of}`] },
  'GET /v1/jobs/{id}': { class: 'job', request: job() },
  'GET /v1/jobs/{id}/items': { class: 'job', request: job('/items') },
  'GET /v1/jobs/{id}/events': { class: 'job', request: job('/events') },
  'GET /v1/jobs/{id}/callbacks': { class: 'job', request: job('/callbacks') },
  'POST /v1/jobs/{id}/cancel': { class: 'control', audited: 'job.cancel', request: job('/cancel') },
  'POST /v1/jobs/{id}/retry': {
    class: 'control',
    audited: 'job.retry',
    request: async (things) => [`/v1/jobs/${await things.endedJob()}/retry`],
  },
  'POST /v1/jobs/redrive': {
    class: 'work',
    audited: 'job.redrive',
    request: async (things) => {
      await things.endedJob();
      return ['/v1/jobs/redrive', { symbol: things.symbol, state: 'cancelled' }];
    },
  },

  'POST /v1/jobs/bulk': {
    class: 'work',
    audited: 'job.cancel',
    request: async (things) => ['/v1/jobs/bulk', { action: 'cancel', ids: [await things.job()] }],
  },

  'GET /v1/symbols/{symbol}': market(),
  'GET /v1/symbols/{symbol}/bars': market('/bars'),
  'GET /v1/symbols/{symbol}/indicators': market('/indicators'),
  'GET /v1/symbols/{symbol}/analysis': market('/analysis'),
  'GET /v1/symbols/{symbol}/research': { ...market('/research'), mayAnswer: 'research.unknown' },
  'GET /v1/symbols/{symbol}/signals': market('/signals'),
  'GET /v1/symbols/{symbol}/chain': { ...market('/chain'), mayAnswer: 'chain.unknown' },
  'GET /v1/symbols/{symbol}/volatility': { ...market('/volatility'), mayAnswer: 'chain.unknown' },

  'GET /v1/users': { class: 'mesh', request: at('/v1/users') },
  'GET /v1/users/{id}/logins': { class: 'holder', request: user('/logins') },
  'POST /v1/users/{id}/portfolio/import': {
    class: 'owner',
    audited: 'portfolio.import',
    request: user('/portfolio/import', { csv: 'symbol,quantity,cost\nAAPL,1,1\n' }),
  },
  'GET /v1/users/{id}/portfolio': { class: 'holder', request: user('/portfolio') },
  'GET /v1/users/{id}/portfolio/freshness': { class: 'holder', request: user('/portfolio/freshness') },
  'PUT /v1/users/{id}/portfolio': { class: 'owner', audited: 'portfolio.replace', request: user('/portfolio', HOLDINGS) },
  'GET /v1/users/{id}/positions': { class: 'holder', request: user('/positions') },
  'PUT /v1/users/{id}/positions': { class: 'owner', audited: 'positions.replace', request: user('/positions', { positions: [] }) },
  'DELETE /v1/users/{id}/positions/{position}': {
    class: 'owner',
    audited: 'position.remove',
    request: async (things) => [`/v1/users/${things.user}/positions/${await things.position()}`],
  },

  'GET /v1/picks': { class: 'mesh', request: at('/v1/picks') },
  'GET /v1/users/{id}/picks': { class: 'holder', request: user('/picks') },
  'POST /v1/users/{id}/picks': { class: 'ask', audited: 'not a change by hand', request: user('/picks', { dry_run: true }) },
  'GET /v1/users/{id}/picks/history': { class: 'holder', request: user('/picks/history') },
  'GET /v1/users/{id}/picks/record': { class: 'holder', request: user('/picks/record') },
  'GET /v1/users/{id}/profile': { class: 'holder', request: user('/profile') },
  'PUT /v1/users/{id}/profile': { class: 'owner', audited: 'profile.replace', request: user('/profile', { monthly_budget: 200 }) },
  'GET /v1/spend': { class: 'holder', request: ({ user: of }) => [`/v1/spend?user=${of}`] },
  'POST /v1/spend/{id}/settle': {
    class: 'admin',
    audited: 'spend.settle',
    request: async ({ call }) => [`/v1/spend/${await call()}/settle`, { cost_usd: 0 }],
  },
  // Its secret is none of the keys.
  'POST /v1/cron/weekly-picks': {
    class: 'open',
    audited: 'not a change by hand',
    mayAnswer: 'cron.bad_secret',
    request: at('/v1/cron/weekly-picks'),
  },

  'POST /v1/rankings': {
    class: 'ask',
    audited: 'not a change by hand',
    request: ({ user: of, symbol }) => ['/v1/rankings', { symbol, mode: 'exit', user: of }],
  },
  'GET /v1/rankings': {
    class: 'holder',
    mayAnswer: 'symbol.unknown',
    request: ({ user: of, symbol }) => [`/v1/rankings?symbol=${symbol}&mode=exit&user=${of}`],
  },
  'GET /v1/rankings/symbols': { class: 'market', request: at('/v1/rankings/symbols') },

  'POST /v1/historical/option': download('/v1/historical/option'),
  'POST /v1/historical/stock': download('/v1/historical/stock'),
  'POST /v1/history/gaps': download('/v1/history/gaps', { dataset: 'stock' }),
  'GET /v1/history/coverage': stored('coverage?dataset=option&schema=eod&from=2024-01-02&to=2024-01-03'),
  'GET /v1/history/downloads': { class: 'holder', request: ({ user: of }) => [`/v1/history/downloads?user=${of}`] },
  'GET /v1/history/objects': stored('objects?limit=1'),
  'GET /v1/history/objects/{key}': { class: 'market', mayAnswer: 'object.unknown', request: at('/v1/history/objects/none') },
  'GET /v1/history/objects/{key}/data': { class: 'market', mayAnswer: 'object.unknown', request: at('/v1/history/objects/none/data') },
  'GET /v1/history/chain': { ...stored('chain?at=2024-01-02T20:00:00Z'), mayAnswer: 'history.unknown' },
  'GET /v1/history/export': {
    ...stored('export?dataset=option&schema=eod&from=2024-01-02&to=2024-01-03&allow_gaps=true'),
    mayAnswer: 'history.unknown',
  },

  'GET /v1/stats': { class: 'mesh', request: at('/v1/stats') },
  'GET /v1/stats/history': { class: 'mesh', request: at('/v1/stats/history') },
  'GET /v1/sources': { class: 'mesh', request: at('/v1/sources') },
  'GET /v1/workers': { class: 'mesh', request: at('/v1/workers') },
  'GET /v1/alerts': { class: 'mesh', request: at('/v1/alerts') },
  'GET /v1/auto-fetch': { class: 'mesh', request: at('/v1/auto-fetch') },
  'POST /v1/auto-fetch': { class: 'admin', audited: 'auto_fetch.switch', request: at('/v1/auto-fetch', { enabled: true }) },

  'GET /v1/schedules': { class: 'mesh', request: at('/v1/schedules') },
  'POST /v1/schedules/{name}/run': {
    class: 'work',
    audited: 'schedule.run',
    request: at('/v1/schedules/portfolios%20before%20the%20session/run'),
  },
  'GET /v1/notifications': { class: 'admin', request: at('/v1/notifications') },
  'GET /v1/notifications/routes': { class: 'admin', request: at('/v1/notifications/routes') },
  'POST /v1/notifications/routes/{name}/test': {
    class: 'admin',
    mayAnswer: 'notify_route.unknown',
    audited: 'not a change by hand',
    request: at('/v1/notifications/routes/none/test'),
  },
  'GET /v1/unsubscribe': { class: 'open', request: ({ symbol }) => [linkFor(symbol)] },
  'POST /v1/unsubscribe': {
    class: 'open',
    audited: 'notify.user',
    request: ({ symbol }) => [linkFor(symbol), { wish: 'stop' }],
  },
  'GET /v1/config': { class: 'admin', request: at('/v1/config?below=gateway') },
  'POST /v1/workers/{instance}/drain': {
    class: 'admin',
    mayAnswer: 'instance.unknown',
    audited: 'not a change by hand',
    request: at('/v1/workers/none/drain'),
  },

  'GET /v1/keys': { class: 'admin', request: at('/v1/keys') },
  'POST /v1/keys': { class: 'admin', audited: 'key.create', request: at('/v1/keys', NEW_KEY) },
  'POST /v1/keys/{id}/rotate': {
    class: 'admin',
    audited: 'key.rotate',
    request: async (things) => [`/v1/keys/${await things.key()}/rotate`],
  },
  'POST /v1/keys/{id}/webhook-secret': {
    class: 'admin',
    audited: 'key.webhook_secret',
    request: async (things) => [`/v1/keys/${await things.key()}/webhook-secret`],
  },
  'POST /v1/keys/{id}/revoke': {
    class: 'admin',
    audited: 'key.revoke',
    request: async (things) => [`/v1/keys/${await things.key()}/revoke`],
  },
  'GET /v1/audit': { class: 'admin', request: at('/v1/audit') },

  'GET /v1/events': { class: 'market', request: at('/v1/events') },
  'POST /v1/events/token': { class: 'market', audited: 'not a change by hand', request: at('/v1/events/token') },

  // The paths of earlier clients name no user, so a key of a user may not ask there.
  'POST /functions/v1/trigger-ranking-job': {
    class: 'work',
    audited: 'not a change by hand',
    request: ({ symbol }) => ['/functions/v1/trigger-ranking-job', { symbol, mode: 'entry' }],
  },
  'GET /functions/v1/options-rankings': {
    class: 'market',
    mayAnswer: 'symbol.unknown',
    request: ({ symbol }) => [`/functions/v1/options-rankings?symbol=${symbol}&mode=entry`],
  },
  'POST /historical/option': download('/historical/option'),
  'GET /jobs/{id}': { class: 'job', request: async (things) => [`/jobs/${await things.job()}`] },
};
