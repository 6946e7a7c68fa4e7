/** `stockmesh audit`: who changed what by hand, and who was refused. */

import { after, nowOf } from '../../ledger/job.ts';
import { type AuditFilter, type AuditRow, listAudit } from '../../platform/registry/audit.ts';
import { stamp } from '../output/numbers.ts';
import { print, printJson } from '../output/print.ts';
import { type Column, table } from '../output/table.ts';
import { type GlobalOptions, withSession } from '../session.ts';

export interface AuditOptions extends GlobalOptions, Pick<AuditFilter, 'action' | 'actor' | 'target' | 'outcome' | 'limit'> {
  /** Seconds back from now. */
  since?: number | undefined;
  before?: number | undefined;
  json?: boolean | undefined;
}

export async function audit({ json, since, before, limit, action, actor, target, outcome, ...options }: AuditOptions): Promise<number> {
  return withSession(options, async ({ db, clock }) => {
    const found = await listAudit(db, {
      ...{ action, actor, target, outcome },
      since: since === undefined ? undefined : after(nowOf({ clock }), -since),
      before: before === undefined ? undefined : String(before),
      limit: limit + 1,
    });
    const rows = found.slice(0, limit);
    const next = found.length > limit ? (rows.at(-1)?.id ?? null) : null;
    if (json) printJson({ rows, next });
    else if (rows.length === 0) print('nothing was changed by hand, and nobody was refused');
    else print(`${table(rows, COLUMNS)}${next === null ? '' : `\nmore: --before ${next}`}`);
    return 0;
  });
}

const whoOf = ({ actor, name }: AuditRow): string => (name === null ? (actor ?? 'no valid key') : `${name} (${actor})`);

const COLUMNS: Column<AuditRow>[] = [
  { title: 'AT', value: ({ at }) => stamp(at) },
  { title: 'WHO', value: whoOf, flexible: 12 },
  { title: 'FROM', value: ({ source, address }) => address ?? source, optional: 2 },
  { title: 'ACTION', value: ({ action }) => action },
  { title: 'TARGET', value: ({ target }) => target, flexible: 20 },
  { title: 'OUTCOME', value: ({ outcome, code, times }) => [code ?? outcome, ...(times > 1 ? [`${times} times`] : [])].join(', ') },
  { title: 'DETAILS', value: ({ details }) => details, flexible: 20, optional: 1 },
];
