/** Chat rooms: what each format is sent, and what becomes of a message whose receiver is away. */
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeEach, expect, test, vi } from 'vitest';
import { systemClock } from '../../services/platform/clock.ts';
import { notifierMesh } from './notifier-mesh.ts';

const mesh = await notifierMesh();
const soon = { timeout: 20_000, interval: 20 };

// biome-ignore lint/suspicious/noExplicitAny: what is expected of it, each test says
const heard: { body: any; headers: IncomingHttpHeaders }[] = [];
let answer: (nth: number) => { status: number; headers?: Record<string, string>; body?: string } = () => ({ status: 200 });
let nth = 0;
const room = createServer(async (request, response) => {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  const { status, headers = {}, body = '' } = answer(nth++);
  if (status < 300) heard.push({ body: JSON.parse(Buffer.concat(parts).toString()), headers: request.headers });
  response.writeHead(status, headers).end(body);
});
room.listen(0, '127.0.0.1');
await once(room, 'listening');
afterAll(() => room.close());
beforeEach(() => {
  heard.length = 0;
  nth = 0;
  answer = () => ({ status: 200 });
});
const url = `http://127.0.0.1:${(room.address() as AddressInfo).port}/hook/secret`;
const chat = (format: string) => ({ name: 'chat', on: ['alert.raised'], to: { webhook: { url, format } } });
const text = 'disk <full> & @everyone';

test('Slack is sent text in which nothing is a command', async () => {
  await mesh.start([chat('slack')]);
  await mesh.commit({ details: { alert: 'disk', text } });
  await vi.waitFor(() => expect(heard).toHaveLength(1), soon);
  // Source: Slack's "Formatting text for app surfaces", escaping text: &, < and > only.
  expect(heard[0]?.body.text).toContain('disk &lt;full&gt; &amp; @everyone');
  expect(Object.keys(heard[0]?.body)).toEqual(['text']);
});

test('Discord is sent content that calls nobody by name', async () => {
  await mesh.start([chat('discord')]);
  await mesh.commit({ details: { alert: 'disk', text: text.repeat(200) } });
  await vi.waitFor(() => expect(heard).toHaveLength(1), soon);
  // Source: Discord's "Execute Webhook": content has up to 2000 characters.
  expect(heard[0]?.body.content.length).toBeLessThanOrEqual(2_000);
  expect(heard[0]?.body.allowed_mentions).toEqual({ parse: [] });
});

test('Teams is sent an adaptive card', async () => {
  await mesh.start([chat('teams')]);
  await mesh.commit({ details: { alert: 'disk', text } });
  await vi.waitFor(() => expect(heard).toHaveLength(1), soon);
  // Source: Microsoft's "Create incoming webhooks with Workflows": a message with one attachment of this type.
  expect(heard[0]?.body).toMatchObject({
    type: 'message',
    attachments: [{ contentType: 'application/vnd.microsoft.card.adaptive', content: { type: 'AdaptiveCard' } }],
  });
  expect(JSON.stringify(heard[0]?.body)).toContain(text);
});

test('a program is sent the events as they are, and an id that is the same for each try', async () => {
  answer = (tries) => ({ status: tries === 0 ? 408 : 200 });
  await mesh.start([chat('json')], {}, systemClock);
  await mesh.commit({ details: { alert: 'disk', text } });
  await vi.waitFor(() => expect(heard).toHaveLength(1), soon);
  expect(heard[0]?.body).toMatchObject({
    route: 'chat',
    event_count: 1,
    events: [{ name: 'alert.raised', details: { alert: 'disk', text } }],
  });
  expect(heard[0]?.headers['webhook-id']).toBe(heard[0]?.body.id);
});

test('a receiver that asks for a pause gets one, and then the message', async () => {
  answer = (tries) => (tries === 0 ? { status: 429, headers: { 'retry-after': '30' } } : { status: 200 });
  await mesh.start([chat('json')]);
  await mesh.commit({});
  // Its try has ended: the pause has begun.
  await vi.waitFor(async () => expect((await mesh.messages())[0]?.last_error).toContain('429'), soon);
  mesh.clock.advance({ seconds: 29 });
  await mesh.commit({ subject: 'alert:other' });
  await vi.waitFor(async () => expect(await mesh.messages()).toHaveLength(2), soon);
  expect(nth).toBe(1);
  mesh.clock.advance({ seconds: 2 });
  await vi.waitFor(() => expect(heard).toHaveLength(2), soon);
});

test('a receiver that refuses a message ends it with the reason, which does not name the path of the hook', async () => {
  answer = () => ({ status: 404, body: 'no_service' });
  await mesh.start([chat('slack')]);
  await mesh.commit({});
  await vi.waitFor(async () => expect(await mesh.messages()).toMatchObject([{ state: 'failed' }]), soon);
  const [message] = await mesh.messages();
  expect(message?.last_error).toContain('the receiver answered 404: no_service');
  expect(JSON.stringify(message)).not.toContain('secret');
});
