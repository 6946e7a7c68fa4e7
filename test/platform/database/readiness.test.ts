import { expect, onTestFinished, test, vi } from 'vitest';
import { createReadiness } from '../../../services/platform/database/suitable.ts';

test('many questions in a quarter of a second are one write, and the next one asks again', async () => {
  vi.useFakeTimers({ toFake: ['performance'] });
  onTestFinished(() => void vi.useRealTimers());
  let writes = 0;
  let isReadOnly = false;
  const takesWrites = createReadiness({
    rows: async () => [],
    async run() {
      writes++;
      if (isReadOnly) throw new Error('read-only');
      return { affectedRows: 1 };
    },
  });
  const ask = () => Promise.all([takesWrites(), takesWrites()]);
  expect([await ask(), writes]).toEqual([[true, true], 1]);
  isReadOnly = true;
  vi.advanceTimersByTime(250);
  expect([await ask(), writes]).toEqual([[true, true], 1]);
  vi.advanceTimersByTime(1);
  expect([await ask(), writes]).toEqual([[false, false], 2]);
});
