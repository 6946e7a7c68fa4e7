/** `stockmesh dashboard`: prints a link that signs a browser in, once. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { findKey, oneKey, stateOf } from '../../gateway/auth/keys.ts';
import { createCode } from '../../gateway/auth/sessions.ts';
import { after, nowOf } from '../../ledger/job.ts';
import { COMMAND } from '../../platform/command-name.ts';
import type { Config } from '../../platform/config/load.ts';
import { InputError } from '../../platform/errors.ts';
import { OPERATOR_KEY_FILE } from '../../platform/machine/datafolder.ts';
import { print, printJson } from '../output/print.ts';
import { type GlobalOptions, type Session, withSession } from '../session.ts';

/** "All addresses" is none that a browser opens. */
const HERE: Record<string, string> = { '0.0.0.0': '127.0.0.1', '::': '::1' };

/** The address of the gateway as the configuration has it. */
export function gatewayUrl({ gateway: { host, port, tls } }: Config): string {
  const name = HERE[host] ?? host;
  return `http${tls.cert_file === null ? '' : 's'}://${name.includes(':') ? `[${name}]` : name}:${port}`;
}

export interface Link {
  url: string;
  expires_at: Date;
}

/**
 * Makes a link that opens the dashboard with a key: by its id or name, or that of the data folder. The code stands behind "#", which browsers send to nobody. Errors:
 * `InputError('key.unknown' | 'key.ambiguous' | 'dashboard.no_key')`.
 */
export async function dashboardLink({ db, clock, loaded: { config }, dataFolder }: Session, idOrName?: string): Promise<Link> {
  const now = nowOf({ clock });
  const id = idOrName === undefined ? await operatorKey(db, dataFolder, now) : await keyInForce(db, idOrName, now);
  const expires_at = after(now, config.gateway.sessions.code_seconds);
  return { url: `${gatewayUrl(config)}/ui/#code=${await createCode(db, id, expires_at)}`, expires_at };
}

async function keyInForce(db: Session['db'], idOrName: string, now: Date): Promise<string> {
  return (await oneKey(db, idOrName, (key) => stateOf(key, now) === 'in force')).id;
}

async function operatorKey(db: Session['db'], dataFolder: string, now: Date): Promise<string> {
  const file = join(dataFolder, OPERATOR_KEY_FILE);
  const found = await findKey(db, secretIn(file), now);
  if (found === undefined)
    throw new InputError(
      'dashboard.no_key',
      `the key in ${file} is not in force; name another with --key: "${COMMAND} key list" shows them`,
    );
  return found.id;
}

function secretIn(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    throw new InputError(
      'dashboard.no_key',
      `there is no ${file}: name the data folder of the mesh with --data, or a key with --key; "${COMMAND} key list" shows them`,
    );
  }
}

/** Errors: those of `dashboardLink`. */
export async function dashboard({
  key,
  json,
  ...options
}: GlobalOptions & { key?: string | undefined; json?: boolean | undefined }): Promise<number> {
  return withSession(options, async (session) => {
    const { url, expires_at } = await dashboardLink(session, key);
    if (json) printJson({ url, expires_at });
    else
      print(
        `${url}\nIt works once, within ${session.loaded.config.gateway.sessions.code_seconds} s. "${COMMAND} dashboard" makes another.`,
      );
    return 0;
  });
}
