/** `/v1/users/{id}/profile`: what a user says about themselves, for the weekly picks. */
import { z } from 'zod';
import { ProfileSchema } from '../../picks/profile.ts';
import { readProfile, storeProfile } from '../../picks/store/profiles.ts';
import { recordChange } from '../../platform/registry/audit.ts';
import { demand } from '../auth/access.ts';
import { actorOf } from '../auth/audit.ts';
import type { App, Parts } from '../http/app.ts';
import { instant, problems, userId } from '../http/schemas.ts';

const params = z.strictObject({ id: userId });
/** As it is answered: the schema that checks a body changes what it reads, which no answer may. */
export const profile = z.object({
  risk_tolerance: z.string(),
  timeline: z.string(),
  experience: z.string(),
  goals: z.array(z.string()),
  monthly_budget: z.number().describe('Dollars: one share of a pick costs no more, unless `fractional`'),
  fractional: z.boolean(),
  interests: z.array(z.string()).describe('Sectors'),
});
const answer = z.object({ user: z.string(), profile, changed_at: instant.nullable().describe('null: the defaults, since none is stored') });

export function profileRoutes(app: App, { db, clock }: Parts): void {
  app.route({
    method: 'GET',
    url: '/v1/users/:id/profile',
    config: { access: 'key' },
    schema: { operationId: 'readProfile', summary: "A user's profile", tags: ['picks'], params, response: { 200: answer, ...problems } },
    async handler(request) {
      const user = request.params.id;
      demand(request, 'read', user);
      const { profile: stored, changedAt } = await readProfile(db, user);
      return { user, profile: stored, changed_at: changedAt };
    },
  });
  app.route({
    method: 'PUT',
    url: '/v1/users/:id/profile',
    config: { access: 'key' },
    schema: {
      operationId: 'replaceProfile',
      summary: "Replace a user's profile",
      description: 'What is left out has its default. The next report obeys it.',
      tags: ['picks'],
      params,
      body: ProfileSchema,
      response: { 200: answer, ...problems },
    },
    async handler(request) {
      const user = request.params.id;
      demand(request, 'admin', user);
      const now = new Date(clock.now().epochMilliseconds);
      await db.transaction(async (tx) => {
        await storeProfile(tx, user, request.body, now);
        recordChange(tx, actorOf(request), { action: 'profile.replace', target: `user:${user}` });
      });
      return { user, profile: request.body, changed_at: now };
    },
  });
}
