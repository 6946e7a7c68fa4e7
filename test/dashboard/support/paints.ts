/** How often a page changes what is seen. */
import type { Page } from 'playwright-core';

export interface Paints {
  /** Frames before which the document had changed. */
  paints: number;
  /** Milliseconds between frames: the 95th percentile and the longest. */
  frameP95: number;
  frameLongest: number;
  /** Milliseconds of the longest task of the page's thread; 0: none took 50 ms. */
  longestTask: number;
}

/** Counts for so many seconds from now on. As text: the tests know no document. */
export const countPaints = (page: Page, seconds: number): Promise<Paints> =>
  page.evaluate(`(async () => {
    let isChanged = false;
    let paints = 0;
    let longestTask = 0;
    const frames = [];
    const mutations = new MutationObserver(() => {
      isChanged = true;
    });
    mutations.observe(document.body, { subtree: true, childList: true, characterData: true, attributes: true });
    const tasks = new PerformanceObserver((list) => {
      for (const { duration } of list.getEntries()) longestTask = Math.max(longestTask, duration);
    });
    tasks.observe({ type: 'longtask' });
    const end = performance.now() + ${seconds * 1000};
    let before = performance.now();
    while (performance.now() < end) {
      await new Promise(requestAnimationFrame);
      const now = performance.now();
      frames.push(now - before);
      before = now;
      if (isChanged) paints++;
      isChanged = false;
    }
    mutations.disconnect();
    tasks.disconnect();
    frames.sort((one, other) => one - other);
    return { paints, frameP95: frames[Math.floor(frames.length * 0.95)], frameLongest: frames.at(-1), longestTask };
  })()`);
