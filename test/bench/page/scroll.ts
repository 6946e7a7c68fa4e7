/** A list of many jobs, and how smoothly it scrolls. */
import type { Page } from 'playwright-core';

/** As `GET /v1/jobs` answers, in one page. */
export const jobsAnswer = (rows: number, idOf: (number: number) => string) => ({
  jobs: Array.from({ length: rows }, (_, number) => ({
    ...{
      id: idOf(number),
      type: 'fetch',
      queue: 'foreground',
      symbol: 'AAPL',
      user: 'alice',
      state: 'completed',
      attempt: 1,
      max_attempts: 4,
    },
    ...{ priority: 2, score: 0.5, worker: 'worker-1', triggered_by: 'login', reason: null, code: null },
    enqueued_at: '2026-06-02T14:30:00.000Z',
    started_at: '2026-06-02T14:30:00.100Z',
    ended_at: '2026-06-02T14:30:00.300Z',
  })),
  next: null,
});

const STEPS = 240;

/** Scrolls the table by `STEPS` steps of a frame each, down to its end. Milliseconds between frames. As text: the bench knows no document. */
export const scrolled = (page: Page): Promise<{ frameP95: number; frameLongest: number }> =>
  page.evaluate(`(async () => {
    const box = document.querySelector('[aria-label="Jobs"].table-box');
    const step = (box.scrollHeight - box.clientHeight) / ${STEPS};
    const frames = [];
    let before = performance.now();
    for (let at = 1; at <= ${STEPS}; at++) {
      box.scrollTop = at * step;
      await new Promise(requestAnimationFrame);
      const now = performance.now();
      frames.push(now - before);
      before = now;
    }
    frames.sort((one, other) => one - other);
    return { frameP95: frames[Math.floor(frames.length * 0.95)], frameLongest: frames.at(-1) };
  })()`);
