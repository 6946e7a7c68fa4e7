/** The application's part of a peer: what it does for each login, and when its caller may be told that everything is fresh. */
import type { LoginsOrder, LoginsOutcome } from './contestant.ts';
import type { Application } from './peer.ts';

/** Takes all logins at once. Resolves when all are fresh, or after the wait. */
export async function takeLogins(application: Application, { users, waitMs, midway }: LoginsOrder): Promise<LoginsOutcome> {
  const freshAt = new Map<string, number>();
  const waiting = new Map<string, Set<Login>>();
  const logins = users.map((user) => new Login(user));
  const all = Promise.withResolvers<void>();
  let open = logins.length;
  const look = (login: Login): void => {
    if (login.isDone() && --open === 0) all.resolve();
  };
  application.onFresh((symbol) => {
    freshAt.set(symbol, performance.now());
    for (const login of waiting.get(symbol) ?? []) {
      login.pending.delete(symbol);
      look(login);
    }
    waiting.delete(symbol);
    if (freshAt.size === midway?.symbols) midway.call();
  });
  const timer = setTimeout(() => all.resolve(), waitMs);
  await Promise.all([
    all.promise,
    ...logins.map(async (login) => {
      const stale = await application.stale(login.user);
      // What was written while it read has been heard of already.
      const pending = stale.filter((symbol) => (freshAt.get(symbol) ?? 0) < login.startedAt);
      for (const symbol of pending) {
        login.pending.add(symbol);
        waiting.set(symbol, (waiting.get(symbol) ?? new Set()).add(login));
      }
      if (pending.length > 0) await application.enqueue(pending);
      login.taken = true;
      look(login);
    }),
  ]);
  clearTimeout(timer);
  const startedAt = Math.min(...logins.map((login) => login.startedAt));
  return {
    times: logins.map(({ doneAt, startedAt: own }) => (doneAt === undefined ? null : doneAt - own)),
    totalMs: Math.max(...freshAt.values()) - startedAt,
  };
}

class Login {
  readonly user: string;
  readonly startedAt = performance.now();
  /** Symbols that it waits for. */
  readonly pending = new Set<string>();
  /** The queue has its jobs. */
  taken = false;
  doneAt: number | undefined;
  constructor(user: string) {
    this.user = user;
  }
  /** True once: when all that it waits for is there. */
  isDone(): boolean {
    if (!this.taken || this.pending.size > 0 || this.doneAt !== undefined) return false;
    this.doneAt = performance.now();
    return true;
  }
}
