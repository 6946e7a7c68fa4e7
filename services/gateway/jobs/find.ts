/** `GET /v1/find`: symbols, users and jobs by the beginning of their name, for a field in which people type. */
import { z } from 'zod';
import { idFromBytes } from '../../ledger/id.ts';
import type { State } from '../../ledger/job.ts';
import type { Sql } from '../../platform/database/database.ts';
import { callerOf, ownUsers } from '../auth/access.ts';
import type { App, Parts } from '../http/app.ts';
import { problems, state } from '../http/schemas.ts';

/** Of each kind. */
const MOST = 10;

export function findRoute(app: App, { db }: Parts): void {
  app.route({
    method: 'GET',
    url: '/v1/find',
    config: { access: 'key' },
    schema: {
      operationId: 'find',
      summary: 'Symbols, users and jobs whose name or id begins so',
      description: `At most ${MOST} of each. A key of a user finds that user, the jobs that this user waits for, and every symbol. Of an id at least 8 digits.`,
      tags: ['jobs'],
      querystring: z.strictObject({ q: z.string().trim().min(1).max(64) }),
      response: {
        200: z.object({
          symbols: z.array(z.string()),
          users: z.array(z.string()),
          jobs: z.array(z.object({ id: z.string(), type: z.string(), symbol: z.string().nullable(), state })),
        }),
        ...problems,
      },
    },
    async handler(request) {
      const { q } = request.query;
      const viewers = ownUsers(callerOf(request), 'read');
      const [symbols, users, jobs] = await Promise.all([
        findSymbols(db, q.toUpperCase()),
        viewers === undefined ? findUsers(db, q) : viewers.filter((user) => user.startsWith(q)).slice(0, MOST),
        findJobs(db, q, viewers),
      ]);
      return { symbols, users, jobs };
    },
  });
}

const beginning = (text: string): string => `${text.replaceAll(/[\\%_]/g, '\\$&')}%`;

/** Those with data and those that are held without any yet. By the primary key of symbols and ix_symbol of holdings. */
async function findSymbols(sql: Sql, text: string): Promise<string[]> {
  if (!/^[A-Z0-9.=^_&-]+$/.test(text)) return [];
  const rows = await sql.rows<{ symbol: string }>(
    `(SELECT symbol FROM symbols WHERE symbol LIKE ? ORDER BY symbol LIMIT ${MOST})
      UNION (SELECT DISTINCT symbol FROM holdings WHERE symbol LIKE ? ORDER BY symbol LIMIT ${MOST}) ORDER BY symbol LIMIT ${MOST}`,
    [beginning(text), beginning(text)],
  );
  return rows.map(({ symbol }) => symbol);
}

/** Who holds something or has signed in. By the primary keys. */
async function findUsers(sql: Sql, text: string): Promise<string[]> {
  const rows = await sql.rows<{ user_id: string }>(
    `(SELECT DISTINCT user_id FROM holdings WHERE user_id LIKE ? ORDER BY user_id LIMIT ${MOST})
      UNION (SELECT user_id FROM logins WHERE user_id LIKE ? ORDER BY user_id LIMIT ${MOST}) ORDER BY user_id LIMIT ${MOST}`,
    [beginning(text), beginning(text)],
  );
  return rows.map(({ user_id }) => user_id);
}

/** By the primary key: ids that begin alike stand together. */
async function findJobs(
  sql: Sql,
  text: string,
  viewers: readonly string[] | undefined,
): Promise<{ id: string; type: string; symbol: string | null; state: State }[]> {
  const digits = text.toLowerCase().replaceAll('-', '');
  if (!/^[0-9a-f]{8,32}$/.test(digits)) return [];
  const [first, last] = [Buffer.from(digits.padEnd(32, '0'), 'hex'), Buffer.from(digits.padEnd(32, 'f'), 'hex')];
  const own = viewers === undefined ? '' : 'AND EXISTS (SELECT 1 FROM job_subscribers s WHERE s.job_id = j.id AND s.user_id IN (?))';
  const rows = await sql.rows<{ id: Buffer; type: string; symbol: string | null; state: State }>(
    `SELECT j.id, j.type, j.symbol, j.state FROM job_states j WHERE j.id >= ? AND j.id <= ? ${own} ORDER BY j.id LIMIT ${MOST}`,
    [first, last, ...(viewers === undefined ? [] : [viewers])],
  );
  return rows.map(({ id, ...row }) => ({ ...row, id: idFromBytes(id) }));
}
