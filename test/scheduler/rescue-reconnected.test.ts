/** A worker that only lost its connection, during an outage of the database that kept its jobs from being taken back. */
import { randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import type { Ledger } from '../../services/ledger/job.ts';
import { TransientError } from '../../services/platform/errors.ts';
import { startEmbedded } from '../broker/brokers.ts';
import { closing } from '../platform/bus/brokers.ts';
import { connectWorker, watchDeaths } from './deaths.ts';
import { fixture } from './mesh.ts';

const mesh = fixture();

/** A ledger whose database is away until `back()`; `refused` are the values of the statements that it did not run. */
function awayLedger(): { ledger: Ledger; refused: unknown[]; back(): void } {
  let away = true;
  const refused: unknown[] = [];
  const ledger = mesh.ledger();
  const refuse = (params: readonly unknown[] = []): void => {
    if (!away) return;
    refused.push(...params);
    throw new TransientError('database.unavailable', 'the database is away');
  };
  const db: Ledger['db'] = {
    ...mesh.db,
    async rows<T>(sql: string, params?: readonly unknown[]): Promise<T[]> {
      refuse(params);
      return await mesh.db.rows<T>(sql, params);
    },
    async transaction(work) {
      refuse();
      return await mesh.db.transaction(work);
    },
  };
  return {
    ledger: { ...ledger, db },
    refused,
    back() {
      away = false;
    },
  };
}

test('a worker that reconnected under the same session keeps its jobs when the database is back', async () => {
  const broker = closing(await startEmbedded());
  const { ledger, refused, back } = awayLedger();
  const { told } = await watchDeaths(broker.port, ledger);
  const connect = (instance: string, session: string) => connectWorker(broker.port, instance, session, mesh.clock.now());
  const jobOf = async (instance: string): Promise<string> => {
    const [id] = await mesh.add(mesh.ledger(), {});
    await mesh.run(mesh.ledger(), instance, 1);
    return id as string;
  };

  const session = randomUUID();
  const blinking = await connect('blinking', session);
  const kept = await jobOf('blinking');
  blinking.stream.destroy();
  await expect.poll(() => refused).toContain('blinking');
  await connect('blinking', session);
  // States are heard in their order: who has heard this death has heard of the return.
  const marker = await connect('marker', randomUUID());
  marker.stream.destroy();
  await expect.poll(() => refused).toContain('marker');

  back();
  // The states of workers are heard in their order: this death is handled after the return of the other worker, and lets what was prevented be tried again.
  const last = await connect('last', randomUUID());
  const lastJob = await jobOf('last');
  last.stream.destroy();
  await expect.poll(() => told.map(({ id }) => id)).toEqual([lastJob]);
  expect(await mesh.state(kept)).toBe('running');
});
