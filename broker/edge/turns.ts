/**
 * Turns of the event loop. A connection that has more for the broker than one slice waits for a turn, and a turn reads from as many of them as fit into two milliseconds. A login
 * takes some five turns (read, delivery, the service's acknowledgement, ours): without this, twenty clients that flood made each of them last as long as twenty slices.
 */

/** Milliseconds. */
export const LONGEST_TURN = 2;

const waiting: (() => void)[] = [];
let isComing = false;

/** Runs it in one of the next turns, after those that wait already. It must not throw. */
export function inTurn(run: () => void): void {
  waiting.push(run);
  come();
}

function come(): void {
  if (isComing || waiting.length === 0) return;
  isComing = true;
  setImmediate(take);
}

function take(): void {
  isComing = false;
  const end = performance.now() + LONGEST_TURN;
  // A connection that comes back meanwhile waits for the next turn.
  for (let left = waiting.length; left > 0 && performance.now() < end; left--) waiting.shift()!();
  come();
}
