// A process for isolated jobs that does what the symbol of its job says.
import { setTimeout as delay } from 'node:timers/promises';
import type { FromProcess, ToProcess } from '../../../services/worker/isolated-messages.ts';

const tell = (message: FromProcess): void => void process.send!(message);

process.on('message', (message: ToProcess) => {
  if (message.kind === 'start' && message.workerId === 'never ready') process.exit(5);
  else if (message.kind === 'start') tell({ kind: 'ready' });
  else if (message.kind === 'run') void run(message);
  else if (running === 'LISTENS' && message.code === 'job.cancelled') tell({ kind: 'ended', id: message.id });
});

let running = '';

async function run({ job: { id, symbol } }: Extract<ToProcess, { kind: 'run' }>): Promise<void> {
  running = symbol!;
  if (symbol === 'EARLY') process.exit(4);
  tell({ kind: 'running', id });
  if (symbol === 'EXIT') process.exit(3);
  if (symbol === 'KILL') process.kill(process.pid, 'SIGKILL');
  if (symbol === 'SLOW') await delay(50);
  tell({ kind: 'progress' });
  if (symbol === 'DEAF' || symbol === 'LISTENS') return;
  tell({ kind: 'committed', changes: [{ id, type: 'fetch', symbol, state: 'completed', attempt: process.pid }], dataMessages: [] });
  tell({ kind: 'ended', id });
}
