/** Every route × every scope × own, foreign and shared things, asked over HTTP. A route without a row in `matrix-rows.ts` fails. */
import { globSync, readFileSync } from 'node:fs';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { createKey, revokeKey } from '../../../services/gateway/auth/keys.ts';
import { createCode } from '../../../services/gateway/auth/sessions.ts';
import { gatewayMesh } from '../mesh.ts';
import {
  CALLERS,
  type CallerName,
  LINKS,
  OWNERS,
  type Owner,
  ROWS,
  type Row,
  type Things,
  type Verdict,
  verdictOf,
} from './matrix-rows.ts';

const mesh = gatewayMesh({ 'gateway.callbacks.allow_private': true, 'gateway.rate_limit.anonymous_requests': 100_000, ...LINKS });
/** What stands in bob's things alone. No answer to alice may hold any of it. */
const BOB = 'bob-the-other-user';
const BOBS_SECRETS = [BOB, 'token-of-bobs-callback', 'name-of-bobs-key'];
const STREAMS = /\/events(\?|$)/;

const keys = {} as Record<CallerName | 'bob', string>;
beforeAll(async () => {
  const made = async (name: string, scopes: string[], expires_at?: Date) =>
    (await createKey(mesh.db, { name, scopes, expires_at }, new Date('2020-01-01T00:00:00Z'))).key;
  keys.anonymous = '';
  keys.expired = await made('expired', ['admin'], new Date('2021-01-01T00:00:00Z'));
  keys.revoked = await made('revoked', ['admin']);
  await revokeKey(mesh.db, 'revoked', new Date());
  for (const scope of ['login', 'read', 'jobs', 'admin'] as const) keys[scope] = await made(scope, [scope]);
  keys.alice = await made('alice', ['user:alice']);
  keys.bob = await made('name-of-bobs-key', [`user:${BOB}`]);
});

interface Answer {
  status: number;
  code: string | undefined;
  text: string;
}

async function ask(method: string, path: string, key: string, body?: unknown): Promise<Answer> {
  const stop = new AbortController();
  onTestFinished(() => stop.abort());
  const response = await fetch(`${mesh.gateway.url}${path}`, {
    ...{ method, signal: stop.signal },
    headers: {
      ...(key === '' ? {} : { authorization: `Bearer ${key}` }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const isStream = response.headers.get('content-type')?.startsWith('text/event-stream');
  const text = isStream ? await firstEvent(response) : await response.text();
  stop.abort();
  const isProblem = response.headers.get('content-type') === 'application/problem+json';
  return { status: response.status, code: isProblem && text !== '' ? JSON.parse(text).code : undefined, text };
}

/** What a stream says before its first event has ended. */
async function firstEvent(response: Response): Promise<string> {
  let text = '';
  for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
    text += new TextDecoder().decode(chunk);
    const event = text.indexOf('event: ');
    if (event !== -1 && text.includes('\n\n', event)) break;
  }
  return text;
}

function verdict({ status, code }: Answer, mayAnswer: string | undefined): Verdict | string {
  if (mayAnswer !== undefined && code === mayAnswer) return 'allowed';
  if (status === 401) return 'no key';
  if (status === 403) return 'forbidden';
  if (status === 404 && code === 'job.unknown') return 'hidden';
  return status < 300 ? 'allowed' : `${status} ${code}`;
}

let made = 0;

/** Things of alice, of bob, or of both; bob was first and has a callback. Each is made when the request names it. */
function thingsOf(owner: Owner): Things {
  const symbol = `M${++made}`;
  const user = owner === 'foreign' ? BOB : 'alice';
  const body = (of: string) => ({ type: 'fetch', symbol, user: of, analyse: false });
  const posted = async (of: string, key: string, more: object = {}): Promise<string> =>
    JSON.parse((await ask('POST', '/v1/jobs', key, { ...body(of), ...more })).text).jobs[0].id;
  const job = async (): Promise<string> => {
    if (owner !== 'own') await posted(BOB, keys.bob, { priority: 1, callback_url: 'http://127.0.0.1:9/?x=token-of-bobs-callback' });
    return owner === 'foreign' ? posted(BOB, keys.bob) : posted('alice', keys.alice);
  };
  return {
    ...{ user, symbol, job },
    async endedJob() {
      const id = await job();
      await ask('POST', `/v1/jobs/${id}/cancel`, keys.admin);
      return id;
    },
    async position() {
      const positions = [{ contract: 'AAPL450317C00200000', quantity: 1, entry_price: 4.5 }];
      return JSON.parse((await ask('PUT', `/v1/users/${user}/positions`, keys.admin, { positions })).text).positions[0].id;
    },
    async call() {
      const key = `picks:${user}:${symbol}:${Math.random()}`;
      await mesh.db.run(
        `INSERT INTO spend (intent_key, payment, purpose, user_id, job_id, attempt, state, reserved_micros, provider, model_asked, request_hash, price_in, price_out, reserved_at)
         VALUES (?, 1, 'picks', ?, '', 1, 'unknown', 5000000, 'localhost', 'tester', '', 1, 1, NOW(3))`,
        [key, user],
      );
      const [row] = await mesh.db.rows<{ id: number }>('SELECT id FROM spend WHERE intent_key = ?', [key]);
      return String(row?.id);
    },
    async code() {
      const { id } = await createKey(mesh.db, { name: symbol, scopes: [`user:${user}`] }, new Date());
      return createCode(mesh.db, id, new Date(Date.now() + 60_000));
    },
    async key() {
      return (await createKey(mesh.db, { name: symbol, scopes: ['read'] }, new Date())).id;
    },
  };
}

/** Both users hold something, so that an allowed answer is none of 404. */
async function holdSomething(): Promise<void> {
  const positions = [{ symbol: 'AAPL', quantity: 1 }];
  for (const user of ['alice', BOB]) await ask('PUT', `/v1/users/${user}/portfolio`, keys.admin, { positions });
}

test('every route has a row', async () => {
  const { paths } = JSON.parse((await ask('GET', '/openapi.json', '')).text) as { paths: Record<string, Record<string, unknown>> };
  const routes = Object.entries(paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  );
  const documented = Object.keys(ROWS).filter((route) => ROWS[route]!.hidden === undefined);
  expect(documented.toSorted()).toEqual(routes.toSorted());
});

test('every route that the source writes has a row, also one that the document hides', () => {
  const forms = [/\bmethod: '([A-Z]+)',\s+url: '([^']+)'/g, /\bapp\.(get|head|post|put|patch|delete)\('([^']+)'/g];
  // The requests of downloads are routes of one shape.
  const requests = /\bsubmitRoute\(app, parts, '\w+', \{\s*()url: '([^']+)'/g;
  const written = globSync('services/gateway/**/*.ts').flatMap((file) =>
    [...forms, requests].flatMap((form) =>
      [...readFileSync(file, 'utf8').matchAll(form)].map(
        ([, method = '', url = '']) => `${method.toUpperCase() || 'POST'} ${url.replaceAll(/:(\w+)/g, '{$1}')}`,
      ),
    ),
  );
  expect(written.toSorted()).toEqual(Object.keys(ROWS).toSorted());
});

describe.each(Object.entries(ROWS))('%s', (route, row: Row) => {
  const [method = ''] = route.split(' ');

  test.each(OWNERS)('%s: each caller gets what its scope grants', async (owner) => {
    await holdSomething();
    const got: Partial<Record<CallerName, string>> = {};
    for (const caller of CALLERS) {
      const [path, body] = await row.request(thingsOf(owner));
      got[caller] = verdict(await ask(method, path, keys[caller], body), row.mayAnswer);
    }
    expect(got).toEqual(Object.fromEntries(CALLERS.map((caller) => [caller, verdictOf(row, caller, owner)])));
  });

  test('no answer to alice says anything of bob', async () => {
    await holdSomething();
    for (const owner of ['own', 'joined'] as const) {
      const things = thingsOf(owner);
      // What the request makes meets a job of bob where it is a shared one.
      if (owner === 'joined') await things.job();
      const [path, body] = await row.request(things);
      const { text } = await ask(method, path, keys.alice, body);
      for (const secret of BOBS_SECRETS) expect(text, path).not.toContain(secret);
    }
  });

  test.runIf(method !== 'GET')('the audit log names the change, or it is a request for work', async () => {
    await holdSomething();
    const [path, body] = await row.request(thingsOf('own'));
    const newest = async () =>
      (
        await mesh.db.rows<{ id: number; action: string }>(
          "SELECT id, action FROM audit_log WHERE outcome = 'done' ORDER BY id DESC LIMIT 1",
        )
      )[0];
    const before = await newest();
    await ask(method, path, keys.admin, body);
    const after = await newest();
    expect(after?.id === before?.id ? 'not a change by hand' : after?.action).toBe(row.audited);
  });

  test.runIf(method === 'GET')('HEAD is answered as GET is, and a stream not at all', async () => {
    await holdSomething();
    for (const caller of ['anonymous', 'login', 'alice'] as const) {
      const things = thingsOf('foreign');
      const [path] = await row.request(things);
      const head = await ask('HEAD', path, keys[caller]);
      expect(head, path).toMatchObject({ text: '' });
      if (STREAMS.test(path)) expect(head.status).toBe(404);
      else expect(head.status, path).toBe((await ask('GET', path, keys[caller])).status);
    }
  });
});
