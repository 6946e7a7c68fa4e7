/** The embedded database of a mesh: started again, at the same socket and port, when its server dies. */
import { setTimeout as delay } from 'node:timers/promises';
import type { EmbeddedDatabase } from '../../../sql/embedded.ts';
import { messageOf } from '../../platform/errors.ts';
import { createRestarts } from './restarts.ts';

export interface KeptDatabase {
  /** The server as it was first started; socket, port and accounts stay the same. */
  readonly first: EmbeddedDatabase;
  /** Stops the server and resolves when it is gone. */
  stop(): Promise<void>;
}

/**
 * Starts a server with `start`, and starts it again, after a pause, whenever it ends. The services wait for it, as they wait for any database. `onNews` gets a line
 * for each death, start and failed try. Errors: those of the first start.
 */
export async function keepDatabase(
  start: (port?: number) => Promise<EmbeddedDatabase>,
  onNews: (text: string) => void,
): Promise<KeptDatabase> {
  const first = await start();
  const restarts = createRestarts();
  const stopping = new AbortController();
  let current = first;

  const restart = async (how: string): Promise<void> => {
    for (let why = `ended (${how})`; !stopping.signal.aborted; ) {
      const pause = restarts.pause();
      onNews(`the database server ${why}; it is started again in ${pause / 1000} s, and the services wait for it`);
      await delay(pause, undefined, { signal: stopping.signal }).catch(() => undefined);
      if (stopping.signal.aborted) return;
      restarts.born();
      try {
        current = await start(first.port);
        onNews('the database server is back');
        return;
      } catch (error) {
        why = `did not start (${messageOf(error)})`;
      }
    }
  };
  const watching = (async () => {
    while (!stopping.signal.aborted) {
      const how = await current.exited;
      if (!stopping.signal.aborted) await restart(how);
    }
  })();

  return {
    first,
    async stop() {
      stopping.abort();
      await current.stop();
      await watching;
      // A start that was under way at that moment has brought another server.
      await current.stop();
    },
  };
}
