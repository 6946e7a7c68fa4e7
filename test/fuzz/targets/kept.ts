/** What is accepted is kept as it was sent, but for blanks around a user id: logins and portfolios over HTTP, read back from the database and from the API. */

import type { Random } from '../random.ts';
import { type Target, Wrong } from '../target.ts';
import { clientOf } from './http-client.ts';
import { isName, isStrict, loginIn, loginText } from './logins.ts';

const NEAR = ['alice', 'Alice', 'alice ', ' alice', 'al ice', 'alicé', 'alíce', 'ALICE', 'alice.', 'alice\u0000', 'ａlice', 'аlice'];
const DAY_MS = 86_400_000;

interface Sent {
  user: string;
  path: string;
  method: 'POST' | 'PUT';
  body: string;
  /** Whether the rules allow it. */
  isRight: boolean;
  positions?: { symbol: string; quantity: number; cost: number | null }[];
}

function login(random: Random): Sent {
  const text = random.once(3) ? loginText(random) : JSON.stringify({ userId: random.pick(NEAR) });
  const right = loginIn(Buffer.from(text), 2 ** 20);
  const age = Date.now() - Date.parse(right?.at ?? '');
  // Where the contract is strict a body over HTTP has no version. A login lies at most a day back and a minute ahead.
  // A name that is none in an object is refused over HTTP.
  const hasForbiddenName = /"__proto__"\s*:/.test(text);
  const isRight = right !== undefined && !hasForbiddenName && !(isStrict && /"v"/.test(text)) && !(age > DAY_MS || age < -60_000);
  return { user: (right?.userId ?? '').trim(), path: '/v1/events/login', method: 'POST', body: text, isRight };
}

function portfolio(random: Random): Sent {
  const user = random.pick([...NEAR, random.text(10)]).toWellFormed();
  const number = (most: number): number =>
    random.pick([0, 1, 0.1, 1e-9, 0.000123456789, random.below(1e9) / 1e4, random.below(1e9) * 1e3, most - 1]);
  const symbols = new Set(random.list(6, () => random.pick(['AAPL', 'BRK.B', `S${random.below(99)}`])));
  const positions = [...symbols].map((symbol) => ({
    symbol,
    quantity: number(1e12) * (random.once(4) ? -1 : 1),
    cost: random.once(4) ? null : number(1e9),
  }));
  const isRight = isName(user, 64);
  return {
    user: user.trim(),
    path: `/v1/users/${encodeURIComponent(user)}/portfolio`,
    method: 'PUT',
    body: JSON.stringify({ positions }),
    isRight,
    positions,
  };
}

/** A double keeps fifteen digits. */
const isSame = (a: number | null, b: number | null): boolean =>
  a === b || (a !== null && b !== null && Math.abs(a - b) <= 1e-14 * Math.max(Math.abs(a), Math.abs(b)));

export const kept: Target<Sent> = {
  name: 'what is kept',
  inputs: 8_000,
  seconds: 40,
  // One after the other: each reads what it wrote.
  together: 1,
  async open(servers) {
    const [{ url, key }, db] = [await servers.gateway(), await servers.database()];
    const client = clientOf(url, key);
    const headers = { 'content-type': 'application/json' };
    return {
      make: (random) => (random.once(2) ? login(random) : portfolio(random)),
      async judge({ user, path, method, body, isRight, positions }) {
        const answer = await client.ask(method, path, { headers, body });
        const shown = `${answer.status} ${answer.body.slice(0, 300)}`;
        if (answer.status >= 400) {
          if (isRight) throw new Wrong(`what is right is refused: ${shown}`);
          if (answer.status >= 500) throw new Wrong(`answered ${shown}`);
          return 'refused';
        }
        if (!isRight) throw new Wrong(`what is not right is accepted: ${shown}`);
        const table = positions === undefined ? 'logins' : 'holdings';
        const users = await db.rows<{ user: string }>(`SELECT DISTINCT user_id AS user FROM ${table} WHERE user_id = ?`, [user]);
        if (users.some((one) => one.user !== user)) throw new Wrong(`kept for ${JSON.stringify(users)}`);
        if (positions === undefined && users.length !== 1) throw new Wrong('not kept');
        if (positions === undefined || positions.length === 0) return 'accepted';
        const read = JSON.parse((await client.ask('GET', path)).body) as { positions: NonNullable<Sent['positions']> };
        const wrong = positions.find(
          (one) =>
            !read.positions.some(
              ({ symbol, quantity, cost }) => symbol === one.symbol && isSame(quantity, one.quantity) && isSame(cost, one.cost),
            ),
        );
        if (wrong !== undefined || read.positions.length !== positions.length)
          throw new Wrong(`read back as ${JSON.stringify(read.positions)}`);
        return 'accepted';
      },
      shown: ({ method, path, body }) => `${method} ${path} ${JSON.stringify(body)}`,
      close: async () => client.close(),
    };
  },
};
