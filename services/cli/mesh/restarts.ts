/** When a part of the mesh that died is started again. */

/** Milliseconds. The longest pause repeats. */
const PAUSES_MS = [200, 1_000, 5_000, 15_000];
/** A part that ran for so long starts again with the shortest pause. */
const SETTLED_MS = 60_000;

export interface Restarts {
  /** To be called when the part starts. */
  born(): void;
  /** Milliseconds to wait after a death before the next start. */
  pause(): number;
}

export function createRestarts(): Restarts {
  let deaths = 0;
  let bornAt = performance.now();
  return {
    born() {
      bornAt = performance.now();
    },
    pause() {
      if (performance.now() - bornAt > SETTLED_MS) deaths = 0;
      return PAUSES_MS[Math.min(deaths++, PAUSES_MS.length - 1)] as number;
    },
  };
}
