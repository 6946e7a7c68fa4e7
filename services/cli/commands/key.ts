/** `stockmesh key`: creates, lists and revokes keys of the HTTP API. */

import { type ApiKey, createKey, listKeys, revokeKey, signingSecretOf } from '../../gateway/auth/keys.ts';
import { nowOf } from '../../ledger/job.ts';
import { COMMAND } from '../../platform/command-name.ts';
import { ago } from '../output/numbers.ts';
import { print, printJson } from '../output/print.ts';
import { fields, plain, table } from '../output/table.ts';
import { type GlobalOptions, withSession } from '../session.ts';

type Options = GlobalOptions & { json?: boolean | undefined };

/** Errors: `InputError('key.bad_scope' | 'key.bad_name')`. */
export async function create({ name, scope, json, ...options }: Options & { name: string; scope: string[] }): Promise<number> {
  return withSession(options, async ({ db, clock }) => {
    const { id, key } = await createKey(db, { name, scopes: scope }, nowOf({ clock }));
    const secret = signingSecretOf(key);
    if (json) printJson({ id, name, scopes: scope, key, signing_secret: secret });
    else
      print(
        `${fields([
          ['key', key],
          ['id', id],
          ['scopes', scope.map(plain).join(', ')],
          ['webhook secret', secret],
        ])}\nIt is shown this once; what is stored does not give it back. "${COMMAND} key revoke ${id}" ends it.`,
      );
    return 0;
  });
}

export async function list({ json, ...options }: Options): Promise<number> {
  return withSession(options, async ({ db, clock }) => {
    const keys = await listKeys(db);
    if (json) printJson({ keys });
    else if (keys.length === 0) print(`no keys; "${COMMAND} key create --name <name> --scope read" makes one`);
    else print(keysTable(keys, nowOf({ clock })));
    return 0;
  });
}

function keysTable(keys: readonly ApiKey[], at: Date): string {
  return table(keys, [
    { title: 'ID', value: ({ id }) => id },
    { title: 'NAME', value: ({ name }) => name },
    { title: 'SCOPES', value: ({ scopes }) => scopes.join(', '), flexible: 20 },
    { title: 'CREATED', value: ({ created_at }) => ago(created_at, at), optional: 2 },
    { title: 'USED', value: ({ last_used_at }) => (last_used_at === null ? 'never' : ago(last_used_at, at)), optional: 1 },
    { title: 'STATE', value: ({ revoked_at }) => (revoked_at === null ? 'in force' : `revoked ${ago(revoked_at, at)}`) },
  ]);
}

/** Errors: `InputError('key.unknown' | 'key.ambiguous')`. */
export async function revoke(idOrName: string, { json, ...options }: Options): Promise<number> {
  return withSession(options, async ({ db, clock }) => {
    const { id, name } = await revokeKey(db, idOrName, nowOf({ clock }));
    if (json) printJson({ ok: true, id, name });
    else print(`key ${id} (${plain(name)}) is revoked`);
    return 0;
  });
}
