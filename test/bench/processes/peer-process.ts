/** A process of what a user would build instead: its application, which takes logins, or one of its workers. Told what to be by its first message. */
import type { LoginsOutcome } from '../main-job/contestant.ts';
import { takeLogins } from '../main-job/logins.ts';
import { type PeerName, type PeerOptions, startApplication, startPeerWorker } from '../main-job/peer.ts';

export interface PeerOrder extends PeerOptions {
  peer: PeerName;
  role: 'application' | 'worker';
}

/** All logins at once. */
export interface LoginsCommand {
  users: string[];
  waitMs: number;
  /** Say when so many symbols are fresh. */
  midway?: number | undefined;
}

export type PeerReport = { kind: 'ready' } | { kind: 'midway' } | { kind: 'outcome'; outcome: LoginsOutcome };

const say = (report: PeerReport): void => void process.send?.(report);

// The bench is gone: nobody would say stop.
process.once('disconnect', () => process.exit());
process.once('message', async (order: PeerOrder) => {
  const stop = order.role === 'application' ? await beApplication(order) : (await startPeerWorker(order.peer, order)).stop;
  process.on('message', async (text) => {
    if (text !== 'stop') return;
    await stop();
    process.disconnect?.();
  });
  say({ kind: 'ready' });
});

async function beApplication(order: PeerOrder): Promise<() => Promise<void>> {
  const application = await startApplication(order.peer, order);
  process.on('message', async (command: LoginsCommand | 'stop') => {
    if (command === 'stop') return;
    const { midway: symbols, ...order } = command;
    const midway = symbols === undefined ? undefined : { symbols, call: () => say({ kind: 'midway' }) };
    const outcome = await takeLogins(application, { ...order, midway });
    say({ kind: 'outcome', outcome });
  });
  return application.close;
}
