/** `POST /v1/users/{id}/portfolio/import`: a portfolio from a CSV file, or what it would change. */
import { Readable } from 'node:stream';
import { z } from 'zod';
import { nowOf } from '../../ledger/job.ts';
import { importPortfolioCsv } from '../../market/portfolios/import.ts';
import { type Preview, previewPortfolioCsv } from '../../market/portfolios/preview.ts';
import { holdingsVersion, requireVersion } from '../../market/portfolios/version.ts';
import { InputError } from '../../platform/errors.ts';
import { recordChange } from '../../platform/registry/audit.ts';
import { demand } from '../auth/access.ts';
import { actorOf } from '../auth/audit.ts';
import type { App, Parts } from '../http/app.ts';
import { flag, problems, userId } from '../http/schemas.ts';
import { ifMatch } from './versions.ts';

const one = z.object({ quantity: z.number(), cost: z.number().nullable() });
const answer = z
  .object({
    user: z.string(),
    dry_run: z.boolean(),
    version: z.string().describe('With dry_run: of the portfolio that the file was compared with, for `if-match`; else of the new one'),
    added: z.int(),
    changed: z.int(),
    removed: z.int(),
    unchanged: z.int(),
    changes: z
      .array(
        z.object({
          symbol: z.string(),
          change: z.enum(['added', 'changed', 'removed']),
          from: one.nullable().describe('As it is stored; null for an added one'),
          to: one.nullable().describe('As the file has it; null for a removed one'),
        }),
      )
      .describe('The first 1,000'),
    wrong: z
      .array(z.object({ line: z.int(), text: z.string(), reason: z.string() }))
      .describe('Lines that are no position, with why; the first 200'),
    wrong_lines: z.int(),
  })
  .meta({ id: 'PortfolioImport' });

const MOST_WRONG = 200;
const LONGEST_TEXT = 200;

export function portfolioImportRoute(app: App, { db, clock }: Parts): void {
  app.route({
    method: 'POST',
    url: '/v1/users/:id/portfolio/import',
    config: { access: 'key' },
    schema: {
      operationId: 'importPortfolio',
      summary: "Replace a user's portfolio by a CSV file, or see what that would change",
      description:
        'The header names the columns symbol, quantity and cost, or what brokers call them; a column for the user is not needed. Without a quantity a symbol is only watched. A file with a wrong line is refused (400 `portfolio.bad_line`) unless `skip_wrong` leaves such lines out; `dry_run` names them and changes nothing. Send the `version` of the dry run as `if-match`: when the portfolio was changed meanwhile, the answer is 412.',
      tags: ['users'],
      params: z.strictObject({ id: userId }),
      querystring: z.strictObject({ dry_run: flag.default(false), skip_wrong: flag.default(false) }),
      headers: ifMatch,
      body: z.strictObject({
        csv: z.string().min(1).describe('The text of the file'),
        name: z.string().min(1).max(200).optional().describe('Of the file, for messages'),
      }),
      response: { 200: answer, ...problems },
    },
    async handler(request) {
      const { id: user } = request.params;
      demand(request, 'admin', user);
      const { csv, name = 'the file' } = request.body;
      const { dry_run, skip_wrong } = request.query;
      const wrong = new Map<number, string>();
      const onFault = dry_run || skip_wrong ? (line: number, text: string) => void wrong.set(line, text) : undefined;
      const source = (): Readable => Readable.from([Buffer.from(csv)]);
      const options = { user, name, ...(onFault === undefined ? {} : { onFault }) };
      const version = await holdingsVersion(db, user);
      const preview = await previewPortfolioCsv(db, source(), options);
      if (dry_run) return answerOf(user, true, version, preview, wrong, csv);
      if (preview.added + preview.changed + preview.unchanged === 0)
        throw new InputError(
          'portfolio.nothing',
          `${name} has no position; PUT /v1/users/{id}/portfolio with an empty list takes everything away`,
        );
      let written = version;
      await importPortfolioCsv(db, source(), {
        ...options,
        now: nowOf({ clock }),
        first: (tx) => requireVersion(tx, user, holdingsVersion, request.headers['if-match']),
        async alongside(tx, imported) {
          recordChange(tx, actorOf(request), {
            action: 'portfolio.import',
            target: `user:${user}`,
            details: `${imported.held} held, ${imported.watched} watched${wrong.size === 0 ? '' : `; wrong lines left out: ${wrong.size}`}`,
          });
          written = await holdingsVersion(tx, user);
        },
      });
      return answerOf(user, false, written, preview, wrong, csv);
    },
  });
}

function answerOf(
  user: string,
  dry_run: boolean,
  version: string,
  { added, changed, removed, unchanged, changes }: Preview,
  wrong: ReadonlyMap<number, string>,
  csv: string,
): z.output<typeof answer> {
  const lines = wrong.size === 0 ? [] : csv.split('\n');
  return {
    ...{ user, dry_run, version, added, changed, removed, unchanged },
    changes: changes.map(({ symbol, change, from, to }) => ({ symbol, change, from, to })),
    wrong: [...wrong]
      .sort(([a], [b]) => a - b)
      .slice(0, MOST_WRONG)
      .map(([line, reason]) => ({ line, text: (lines[line - 1] ?? '').trim().slice(0, LONGEST_TEXT), reason })),
    wrong_lines: wrong.size,
  };
}
