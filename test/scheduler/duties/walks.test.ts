/** Duties that walk over all waiting jobs. */
import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { Ledger } from '../../../services/ledger/job.ts';
import { maintenanceDuties } from '../../../services/scheduler/maintenance.ts';
import { watched } from '../../ledger/fixture.ts';
import { configOf } from '../configuration.ts';
import { fixture } from '../mesh.ts';

const mesh = fixture();
const signal = new AbortController().signal;

test.each(['expire ready jobs', 'age'])(
  '%s: a walk that has found nothing rests for longer than it took, one that has found something does not',
  async (name) => {
    let walks = 0;
    const slow = (ledger: Ledger): Ledger => ({
      ...ledger,
      db: watched(ledger.db, async ({ sql }) => {
        if (!/FROM ready .*ORDER BY/s.test(sql) || !/queue = \?/.test(sql)) return;
        walks++;
        await delay(50);
      }),
    });
    const duty = maintenanceDuties({ ledger: slow(mesh.ledger()), config: configOf(), announce: () => {} }).find(
      (one) => one.name === name,
    );
    await mesh.add(mesh.ledger(), { level: 8 });
    mesh.clock.advance({ hours: 3 });
    await duty?.run(signal);
    const first = walks;
    await duty?.run(signal);
    const second = walks - first;
    await duty?.run(signal);
    expect({ first: first > 0, second, third: walks - first - second }).toEqual({ first: true, second: first, third: 0 });
  },
);
