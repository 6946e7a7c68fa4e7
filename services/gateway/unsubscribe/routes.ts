/**
 * `/v1/unsubscribe`: ends messages of a kind by the link of a mail, without a key (RFC 8058). To look changes nothing: programs that look for bad links in mails follow them
 * all. Only a POST does, by the page's button or by the program in which the mail is read.
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { nowOf } from '../../ledger/job.ts';
import type { Sql } from '../../platform/database/database.ts';
import { InputError, messageOf } from '../../platform/errors.ts';
import { readStop, resumeAddress } from '../../platform/notify/stops.ts';
import { type Subscription, subscriptionOf } from '../../platform/notify/unsubscribe.ts';
import { changeTold, emailOf, readTold } from '../../platform/notify/users.ts';
import { recordChange } from '../../platform/registry/audit.ts';
import { withMaskedAddresses } from '../../platform/registry/told.ts';
import { actorOf } from '../auth/audit.ts';
import type { App, Parts } from '../http/app.ts';
import { FORM_POLICY } from '../http/headers.ts';
import { problems } from '../http/schemas.ts';
import { badLinkPage, PAGE_TYPE, type State, subscriptionPage } from './page.ts';

/** Of a form with one field. */
const MOST_BYTES = 4_096;
const FORMS = ['application/x-www-form-urlencoded', 'multipart/form-data'];

const query = z.strictObject({ token: z.string().min(1).max(2_000).describe('Of the link') });
const wish = z.union([
  z.strictObject({ 'List-Unsubscribe': z.literal('One-Click') }),
  z.strictObject({ wish: z.enum(['stop', 'again']).describe('again: undoes it') }),
]);
const page = { description: 'A page', content: { 'text/html': { schema: z.string() } } };

export function unsubscribeRoutes(app: App, parts: Parts): void {
  app.register(async (forms: App) => {
    forms.addContentTypeParser(FORMS, { parseAs: 'buffer', bodyLimit: MOST_BYTES }, (request: FastifyRequest, body: Buffer) =>
      fieldsOf(request, body),
    );
    lookRoute(forms, parts);
    changeRoute(forms, parts);
  });
}

/** The fields of a form. Errors: `InputError('request.not_a_form' | 'request.name_twice')`. */
async function fieldsOf({ headers }: FastifyRequest, body: Buffer): Promise<Record<string, unknown>> {
  const form = await new Response(new Uint8Array(body), { headers: { 'content-type': headers['content-type'] ?? '' } })
    .formData()
    .catch((error: unknown) => {
      throw new InputError('request.not_a_form', `the body is no form as its content type says: ${messageOf(error)}`, { cause: error });
    });
  const names = [...form.keys()];
  const twice = names.find((name, at) => names.indexOf(name) !== at);
  if (twice !== undefined) throw new InputError('request.name_twice', `the form has the field ${JSON.stringify(twice.slice(0, 80))} twice`);
  return Object.fromEntries(form);
}

function lookRoute(app: App, { db, config }: Parts): void {
  app.route({
    method: 'GET',
    url: '/v1/unsubscribe',
    config: { access: 'open' },
    schema: {
      operationId: 'showSubscription',
      summary: 'The page of the link in a mail, with a button that ends messages of its kind',
      description: 'Changes nothing.',
      tags: ['operations'],
      security: [],
      querystring: query,
      response: { 200: page, ...problems },
    },
    async handler(request, reply) {
      const subscription = subscriptionOfLink(config.notify.unsubscribe_secret, request.query.token);
      if (subscription === undefined) return answerBadLink(request, reply);
      return sendPage(reply, subscription, { ...(await stateOf(db, subscription)), isDone: false });
    },
  });
}

function changeRoute(app: App, { db, clock, config }: Parts): void {
  app.route({
    method: 'POST',
    url: '/v1/unsubscribe',
    config: { access: 'open' },
    schema: {
      operationId: 'changeSubscription',
      summary: 'End messages of the kind of a mail, or undo that',
      description:
        'By the link of the mail, as a form: `List-Unsubscribe=One-Click` (RFC 8058), `wish=stop` or `wish=again`. Sent twice it is done once.',
      tags: ['operations'],
      security: [],
      consumes: [...FORMS, 'application/json'],
      querystring: query,
      body: wish,
      response: { 200: page, ...problems },
    },
    async handler(request, reply) {
      const subscription = subscriptionOfLink(config.notify.unsubscribe_secret, request.query.token);
      if (subscription === undefined) return answerBadLink(request, reply);
      const { who, events } = subscription;
      const isAgain = 'wish' in request.body && request.body.wish === 'again';
      const state = await db.transaction(async (tx) => {
        const isChanged = await changeTold(tx, who, isAgain ? { wants: events } : { unwants: events }, nowOf({ clock }));
        const address = isAgain ? await addressOf(tx, who) : undefined;
        const isResumed = address !== undefined && (await resumeAddress(tx, address));
        if (isChanged || isResumed)
          recordChange(tx, actorOf(request), {
            ...{ action: isChanged ? 'notify.user' : 'notify.resume', target: `user:${who}` },
            details: `${isAgain ? 'wants' : 'unwants'} ${events.join(', ')}, by the link of a mail`,
          });
        return stateOf(tx, subscription);
      });
      return sendPage(reply, subscription, { ...state, isDone: true });
    },
  });
}

const subscriptionOfLink = (secret: string | null, token: string): Subscription | undefined =>
  secret === null ? undefined : subscriptionOf(secret, token);

const addressOf = async (sql: Sql, who: string): Promise<string | undefined> => emailOf((await readTold(sql, [who])).get(who), who);

async function stateOf(sql: Sql, { who, events }: Subscription): Promise<Omit<State, 'isDone'>> {
  const told = (await readTold(sql, [who])).get(who);
  const address = emailOf(told, who);
  const stop = address === undefined ? undefined : await readStop(sql, address);
  return {
    isUnwanted: events.every((event) => told?.unwanted.has(event)),
    cameBack: stop && withMaskedAddresses(`${stop.code}: ${stop.reason}`),
  };
}

const sendPage = (reply: FastifyReply, subscription: Subscription, state: State): never =>
  headed(reply).send(subscriptionPage(subscription, state)) as never;

/** The link is a credential: nobody keeps the page, and no other site is told of it. */
const headed = (reply: FastifyReply): FastifyReply =>
  reply
    .header('content-security-policy', FORM_POLICY)
    .header('cache-control', 'no-store')
    .header('x-robots-tag', 'noindex')
    .type(PAGE_TYPE)
    .serializer(String);

const WAY_OUT =
  'this link is not whole, was changed, or is of before the secret was changed (notify.unsubscribe_secret); open that of a newer mail, or ask whoever runs stockmesh';

/** A page for a person, a problem for a program. */
function answerBadLink({ headers }: FastifyRequest, reply: FastifyReply): never {
  if (!headers.accept?.includes('text/html')) throw new InputError('unsubscribe.bad_link', WAY_OUT);
  return headed(reply.code(400)).send(badLinkPage(WAY_OUT)) as never;
}
