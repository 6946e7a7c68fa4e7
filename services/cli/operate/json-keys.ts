/** The keys of what backups, messages, `db init`, `drain` and `reload` print with `--json` (`output/json-keys.ts`). */
const toldInstance = {
  ok: 'false when a service that was told to start again has not',
  instance: 'its name',
  action: 'drain or reload',
  outcome: 'ended, started again, not started again, or told with --no-wait',
  seconds: 'until then; null with --no-wait',
} as const;

export const OPERATE_KEYS = {
  'db init': {
    database: 'name of the schema',
    hosts: 'where the accounts connect from',
    applied: '[name] of the migrations',
    urls: '{service, migrate, read}, with their passwords; not with --secrets',
    files: '{service, migrate, read}, the files that hold them; with --secrets',
  },
  drain: toldInstance,
  reload: toldInstance,
  backup: {
    ok: 'true',
    folder: 'where it is',
    snapshot_at: 'the moment whose rows it has',
    tables: 'number of tables',
    rows: 'rows in all',
    bytes: 'of the files',
  },
  restore: {
    ok: 'true when every row is as it was backed up',
    snapshot_at: 'the moment whose rows it has',
    tables: 'number of tables',
    rows: 'rows in all',
  },
  'notify test': {
    ok: 'true when all messages were taken',
    messages: '[{id, route, channel, recipient, state, severity, due_at, attempts, last_error, created_at, event, events}]',
  },
  'notify list': {
    messages:
      '[{id, route, channel, recipient, state, severity, due_at, attempts, last_error, created_at, event, events}]; state: open, sending, sent, failed, suppressed',
  },
  'notify address': { ok: 'true' },
  'notify unsubscribe': { ok: 'true' },
  'notify subscribe': { ok: 'true' },
} as const satisfies Record<string, Readonly<Record<string, string>>>;
