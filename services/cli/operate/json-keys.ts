/** The keys of what backups and messages print with `--json` (`output/json-keys.ts`). */
export const OPERATE_KEYS = {
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
