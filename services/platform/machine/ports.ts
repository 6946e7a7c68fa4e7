import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { ConfigError, codeOf, messageOf } from '../errors.ts';

/** Listens on `port` (0: the system picks) and closes at once. Resolves to the port; rejects with the system's error where it cannot be had. */
async function tryPort(port: number, host: string): Promise<number> {
  const server = createServer().listen({ port, host, exclusive: true });
  await once(server, 'listening');
  const { port: found } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return found;
}

/** A TCP port of `host` that is free at this moment. Another process may take it before the caller does. */
export function freePort(host = '127.0.0.1'): Promise<number> {
  return tryPort(0, host);
}

/**
 * Refuses to go on when `port` of `host` cannot be listened on, before anything has started.
 * `option` is what the person would change, as they would write it (`--http-port`, `broker.port`).
 * @throws ConfigError `port.in_use`, `port.not_permitted` or `port.unusable`, each naming the port, the option and, where it helps, a free port.
 */
export async function assertPortFree({ port, host = '127.0.0.1', option }: { port: number; host?: string; option: string }): Promise<void> {
  try {
    await tryPort(port, host);
  } catch (error) {
    const code = codeOf(error);
    if (code === 'EADDRINUSE')
      throw new ConfigError(
        'port.in_use',
        `port ${port} of ${host} is in use by another program: stop that one, or choose another port with ${option}, for example ${await freePort()}`,
      );
    if (code === 'EACCES')
      throw new ConfigError(
        'port.not_permitted',
        `port ${port} of ${host} may only be used by root: choose one above 1023 with ${option}, for example ${await freePort()}`,
      );
    throw new ConfigError('port.unusable', `cannot listen on port ${port} of ${host} (${messageOf(error)}): change ${option}`, {
      cause: error,
    });
  }
}
