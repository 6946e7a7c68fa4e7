import { createHash, createHmac } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { claim } from '../../../services/ledger/run/claim.ts';
import { complete } from '../../../services/ledger/run/complete.ts';
import { deleteJobs } from '../../support/job-rows.ts';
import { gatewayMesh } from '../mesh.ts';

const mesh = gatewayMesh({
  'gateway.callbacks.allow_private': true,
  'gateway.callbacks.backoff': [0, 0, 0],
  'gateway.callbacks.timeout': 0.5,
});

interface Call {
  path: string;
  headers: IncomingHttpHeaders;
  text: string;
}

/** A receiver that answers with each of the statuses in turn, the last one for ever; 0: not at all. */
async function receiver(...statuses: number[]): Promise<{ url: string; calls: Call[] }> {
  const calls: Call[] = [];
  const server = createServer(async (request, response) => {
    let text = '';
    for await (const chunk of request) text += chunk;
    calls.push({ path: request.url ?? '', headers: request.headers, text });
    const status = statuses[Math.min(calls.length, statuses.length) - 1] ?? 200;
    if (status !== 0) response.writeHead(status, { location: '/elsewhere' }).end();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`, calls };
}

async function ask(callback_url: string, symbol = 'AAPL'): Promise<string> {
  const { status, body } = await mesh.operator.post('/v1/jobs', { type: 'fetch', symbol, analyse: false, callback_url });
  expect(status, JSON.stringify(body)).toBe(202);
  return body.jobs[0].id;
}

async function finish(): Promise<void> {
  const { jobs } = await claim(mesh.ledger, 'w1', 10);
  await complete(
    mesh.ledger,
    'w1',
    jobs.map((job) => ({ job, result: { bars: 7 } })),
  );
}

const callbacksOf = async (id: string) => (await mesh.operator.get(`/v1/jobs/${id}/callbacks`)).body.callbacks;

test('a callback is called when its job has ended and not before, with what came of it', async () => {
  const { url, calls } = await receiver(204);
  const id = await ask(url);
  expect(await callbacksOf(id)).toMatchObject([{ url, state: 'pending', attempts: 0 }]);
  await finish();
  await expect.poll(() => calls.length).toBe(1);
  expect(JSON.parse(calls[0]!.text)).toMatchObject({
    type: 'job.completed',
    job: { id, type: 'fetch', symbol: 'AAPL', state: 'completed', result: { bars: 7 } },
  });
  await expect.poll(() => callbacksOf(id)).toMatchObject([{ state: 'delivered', attempts: 1, last_status: 204 }]);
  expect(calls).toHaveLength(1);
});

/** https://www.standardwebhooks.com, "signature scheme": HMAC-SHA256 of id.timestamp.payload with the bytes of the secret. */
function signatureBy(secret: Buffer, { headers, text }: Call): string {
  return `v1,${createHmac('sha256', secret).update(`${headers['webhook-id']}.${headers['webhook-timestamp']}.${text}`).digest('base64')}`;
}
const bytesOf = (secret: string): Buffer => Buffer.from(secret.slice('whsec_'.length), 'base64');

test('its signature is that of Standard Webhooks, with the secret that was shown with the key', async () => {
  const { url, calls } = await receiver(200);
  await ask(url);
  await finish();
  await expect.poll(() => calls.length).toBe(1);
  const { headers } = calls[0]!;
  expect(headers['webhook-signature']).toBe(signatureBy(bytesOf(mesh.operator.signingSecret), calls[0]!));
  expect(Math.abs(Number(headers['webhook-timestamp']) - Date.now() / 1000)).toBeLessThan(5);
});

test('after a rotation the new secret and the old one sign, and without an overlap the new one alone', async () => {
  const { url, calls } = await receiver(200);
  const app = await mesh.caller('jobs');
  const rotate = async (overlap_seconds: number): Promise<Buffer> =>
    bytesOf((await mesh.operator.post(`/v1/keys/${app.id}/webhook-secret`, { overlap_seconds })).body.signing_secret);
  await app.post('/v1/jobs', { type: 'fetch', symbol: 'AAPL', analyse: false, callback_url: url });
  const second = await rotate(600);
  await finish();
  await expect.poll(() => calls.length).toBe(1);
  expect(calls[0]!.headers['webhook-signature']).toBe(
    `${signatureBy(second, calls[0]!)} ${signatureBy(bytesOf(app.signingSecret), calls[0]!)}`,
  );
  const third = await rotate(0);
  await app.post('/v1/jobs', { type: 'fetch', symbol: 'MSFT', analyse: false, callback_url: url });
  await finish();
  await expect.poll(() => calls.length).toBe(2);
  expect(calls[1]!.headers['webhook-signature']).toBe(signatureBy(third, calls[1]!));
});

test('a key from before there were such secrets signs with its hash, and beside its first secret for the overlap', async () => {
  const { url, calls } = await receiver(200);
  const old = await mesh.caller('jobs');
  await mesh.db.run('DELETE FROM webhook_secrets WHERE key_id = ?', [old.id]);
  const hash = createHash('sha256').update(old.key).digest();
  await old.post('/v1/jobs', { type: 'fetch', symbol: 'AAPL', analyse: false, callback_url: url });
  await finish();
  await expect.poll(() => calls.length).toBe(1);
  expect(calls[0]!.headers['webhook-signature']).toBe(signatureBy(hash, calls[0]!));
  const { signing_secret } = (await mesh.operator.post(`/v1/keys/${old.id}/webhook-secret`)).body;
  await old.post('/v1/jobs', { type: 'fetch', symbol: 'MSFT', analyse: false, callback_url: url });
  await finish();
  await expect.poll(() => calls.length).toBe(2);
  expect(calls[1]!.headers['webhook-signature']).toBe(`${signatureBy(bytesOf(signing_secret), calls[1]!)} ${signatureBy(hash, calls[1]!)}`);
});

test('a receiver that fails or does not answer is tried again, with the same id and a new signature', async () => {
  const { url, calls } = await receiver(500, 0, 200);
  const id = await ask(url);
  await finish();
  await expect.poll(() => callbacksOf(id)).toMatchObject([{ state: 'delivered', attempts: 3 }]);
  expect(new Set(calls.map(({ headers }) => headers['webhook-id'])).size).toBe(1);
});

test('it is given up after the last of the configured tries, with the reason', async () => {
  const { url, calls } = await receiver(503);
  const id = await ask(url);
  await finish();
  await expect
    .poll(() => callbacksOf(id))
    .toMatchObject([{ state: 'failed', attempts: 4, last_status: 503, last_error: 'the receiver answered 503' }]);
  expect(calls).toHaveLength(4);
});

test('a redirect is not followed, and a receiver that says "gone" is left alone', async () => {
  const redirecting = await receiver(302);
  const gone = await receiver(410);
  const [first, second] = [await ask(redirecting.url), await ask(gone.url, 'MSFT')];
  await finish();
  await expect.poll(() => callbacksOf(first)).toMatchObject([{ state: 'failed', last_status: 302 }]);
  expect(redirecting.calls.map(({ path }) => path)).toEqual(['/hook', '/hook', '/hook', '/hook']);
  await expect.poll(() => callbacksOf(second)).toMatchObject([{ state: 'failed', attempts: 1, last_status: 410 }]);
});

test('everybody who joined a job is called, and whoever asked twice once', async () => {
  const [one, other] = [await receiver(200), await receiver(200)];
  const ids = new Set([await ask(one.url), await ask(one.url), await ask(other.url)]);
  expect(ids.size).toBe(1);
  await finish();
  await expect.poll(() => [one.calls.length, other.calls.length]).toEqual([1, 1]);
  await expect
    .poll(async () => (await callbacksOf([...ids][0]!)).map(({ state }: { state: string }) => state))
    .toEqual(['delivered', 'delivered']);
});

test('the body for the key of a user says nothing of others who wait for the job', async () => {
  const hook = await receiver(200);
  const asked = async (user: string, callback_url?: string) =>
    (await mesh.caller(`user:${user}`)).post('/v1/jobs', { type: 'fetch', symbol: 'AAPL', user, analyse: false, callback_url });
  await asked('bob');
  await asked('alice', hook.url);
  await finish();
  await expect.poll(() => hook.calls.length).toBe(1);
  expect(JSON.parse(hook.calls[0]!.text).job).toMatchObject({ user: 'alice', result: { bars: 7 } });
  expect(hook.calls[0]!.text).not.toContain('bob');
});

test('the callback of a job that was deleted is given up at once with the reason, and nobody is called', async () => {
  const { url, calls } = await receiver(200);
  await ask(url);
  await deleteJobs(mesh.db);
  await expect
    .poll(() => mesh.db.rows('SELECT state, attempts, last_error FROM callbacks'))
    .toEqual([{ state: 'failed', attempts: 1, last_error: 'its job was deleted (jobs.cleanup_after_days) (job.unknown)' }]);
  expect(calls).toEqual([]);
});

test('a request that is refused leaves no callback', async () => {
  await mesh.operator.post('/v1/jobs', { type: 'batch_fetch', portfolio: 'nobody', callback_url: 'https://example.com/' });
  expect(await mesh.db.rows('SELECT id FROM callbacks')).toEqual([]);
});
