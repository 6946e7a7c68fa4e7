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
    messages: '[{id, route, channel, recipient, state, severity, due_at, attempts, last_error, code, created_at, event, events}]',
  },
  'notify list': {
    messages:
      '[{id, route, channel, recipient, state, severity, due_at, attempts, last_error, code, created_at, event, events}]; state: open, sending, sent, failed, suppressed, bounced',
    stopped: '[{address, code, reason, stopped_at}]: addresses that are not written to, since mail came back from there',
  },
  'notify bounce': {
    ok: 'true',
    outcome:
      'bounced, delayed, passed on (came back from somebody to whom the receiver forwards mail), delivered, known (nothing was changed)',
    message: 'its id',
    recipient: 'a user, or an address of a route',
    address: 'where it was sent; null where that is not known',
    code: 'of the mail server, such as 5.1.1; null where it gave none',
    reason: 'its words',
    stopped: 'whether nothing is sent to the address any more',
  },
  'notify resume': { ok: 'true' },
  'notify address': { ok: 'true' },
  'notify unsubscribe': { ok: 'true' },
  'notify subscribe': { ok: 'true' },
} as const satisfies Record<string, Readonly<Record<string, string>>>;
