/** `GET /v1/job-types`: what can be asked for, for forms that are made of it. */
import { z } from 'zod';
import { JOB_TYPES } from '../../job-types/index.ts';
import type { App } from '../http/app.ts';
import { problems } from '../http/schemas.ts';
import { common } from '../routes/job-bodies.ts';

const jobType = z
  .object({
    name: z.string(),
    about: z.string(),
    has_items: z.boolean().describe('Its jobs have items, each with a state of its own'),
    body: z
      .record(z.string(), z.unknown())
      .nullable()
      .describe('JSON schema (draft 2020-12) of the body of `POST /v1/jobs`; null: it is not asked for there'),
  })
  .meta({ id: 'JobType' });

export function jobTypesRoute(app: App): void {
  const answer = {
    types: JOB_TYPES.map(({ name, about, hasItems, http }) => ({
      ...{ name, about, has_items: hasItems === true },
      body: http === undefined ? null : bodySchema(name, http.fields),
    })),
  };
  app.route({
    method: 'GET',
    url: '/v1/job-types',
    config: { access: 'key' },
    schema: {
      operationId: 'listJobTypes',
      summary: 'What can be asked for, with the schema of each body',
      tags: ['jobs'],
      response: { 200: z.object({ types: z.array(jobType) }), ...problems },
    },
    handler: async () => answer,
  });
}

/** As a caller writes it: what a field becomes is no concern of a form. */
function bodySchema(name: string, fields: z.ZodRawShape): Record<string, unknown> {
  const { $schema: _, ...schema } = z.toJSONSchema(z.strictObject({ type: z.literal(name), ...fields, ...common }), {
    io: 'input',
    unrepresentable: 'any',
  });
  return schema;
}
