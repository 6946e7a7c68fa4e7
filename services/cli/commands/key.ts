/** `stockmesh key`: creates, lists, rotates and revokes keys of the HTTP API. */

import { endKey, makeKey, renewKey } from '../../gateway/auth/key-changes.ts';
import { type ApiKey, listKeys, signingSecretOf, stateOf } from '../../gateway/auth/keys.ts';
import { after, nowOf } from '../../ledger/job.ts';
import { COMMAND } from '../../platform/command-name.ts';
import { cliActor } from '../actor.ts';
import { ago, stamp } from '../output/numbers.ts';
import { print, printJson } from '../output/print.ts';
import { fields, plain, table } from '../output/table.ts';
import { type GlobalOptions, withSession } from '../session.ts';
import type { Expiry } from '../verbs/arguments.ts';

type Options = GlobalOptions & { json?: boolean | undefined };

const endOf = (expires: Expiry | undefined, now: Date): Date | undefined => (typeof expires === 'number' ? after(now, expires) : expires);

/** Errors: `InputError('key.bad_scope' | 'key.bad_name' | 'key.bad_expiry')`. */
export async function create({
  name,
  scope,
  expires,
  json,
  ...options
}: Options & { name: string; scope: string[]; expires?: Expiry | undefined }): Promise<number> {
  return withSession(options, async ({ db, clock }) => {
    const now = nowOf({ clock });
    const expires_at = endOf(expires, now);
    const { id, key } = await makeKey(db, cliActor(), { name, scopes: scope, expires_at }, now);
    if (json) printJson({ id, name, scopes: scope, key, signing_secret: signingSecretOf(key), expires_at: expires_at ?? null });
    else
      print(
        `${secretFields(id, key, [
          ['scopes', scope.map(plain).join(', ')],
          ['expires', expires_at === undefined ? 'never' : stamp(expires_at)],
        ])}\nIt is shown this once; what is stored does not give it back. "${COMMAND} key revoke ${id}" ends it.`,
      );
    return 0;
  });
}

function secretFields(id: string, key: string, more: [string, string][]): string {
  return fields([['key', key], ['id', id], ...more, ['webhook secret', signingSecretOf(key)]]);
}

/** Errors: `InputError('key.unknown' | 'key.ambiguous' | 'key.bad_expiry')`. */
export async function rotate(
  idOrName: string,
  { overlap, expires, json, ...options }: Options & { overlap?: number | undefined; expires?: Expiry | undefined },
): Promise<number> {
  return withSession(options, async ({ db, clock, loaded }) => {
    const now = nowOf({ clock });
    const overlapSeconds = overlap ?? loaded.config.gateway.keys.rotation_overlap;
    const { id, name, key, old_until, expires_at } = await renewKey(
      db,
      cliActor(),
      idOrName,
      { overlapSeconds, expires_at: endOf(expires, now) },
      now,
    );
    if (json) printJson({ id, name, key, signing_secret: signingSecretOf(key), old_until, expires_at });
    else
      print(
        `${secretFields(id, key, [
          ['old secret', overlapSeconds === 0 ? 'does not work any more' : `works until ${stamp(old_until as Date)}`],
          ['expires', expires_at === null ? 'never' : stamp(expires_at)],
        ])}\nThe new secret is shown this once. Webhooks are signed with it from now on.`,
      );
    return 0;
  });
}

export async function list({ json, ...options }: Options): Promise<number> {
  return withSession(options, async ({ db, clock }) => {
    const keys = await listKeys(db);
    const now = nowOf({ clock });
    if (json) printJson({ keys: keys.map((key) => ({ ...key, state: stateOf(key, now) })) });
    else if (keys.length === 0) print(`no keys; "${COMMAND} key create --name <name> --scope read" makes one`);
    else print(keysTable(keys, now));
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
    { title: 'EXPIRES', value: ({ expires_at }) => (expires_at === null ? 'never' : stamp(expires_at)), optional: 3 },
    { title: 'STATE', value: (key) => stateText(key, at) },
  ]);
}

function stateText(key: ApiKey, at: Date): string {
  const state = stateOf(key, at);
  if (key.revoked_at !== null) return `${state} ${ago(key.revoked_at, at)}`;
  return state === 'in force' && key.old_until !== null && key.old_until > at
    ? `${state}, old secret until ${stamp(key.old_until)}`
    : state;
}

/** Errors: `InputError('key.unknown' | 'key.ambiguous')`. */
export async function revoke(idOrName: string, { json, ...options }: Options): Promise<number> {
  return withSession(options, async ({ db, clock }) => {
    const { id, name } = await endKey(db, cliActor(), idOrName, nowOf({ clock }));
    if (json) printJson({ ok: true, id, name });
    else print(`key ${id} (${plain(name)}) is revoked`);
    return 0;
  });
}
