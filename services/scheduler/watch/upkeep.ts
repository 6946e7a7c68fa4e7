/** What a person has to look after: room on the disk, money, backups. */
import { statfs } from 'node:fs/promises';
import { dollars, readTotals } from '../../model/spend.ts';
import type { Clock } from '../../platform/clock.ts';
import type { Config } from '../../platform/config/load.ts';
import type { Sql } from '../../platform/database/database.ts';
import { codeOf } from '../../platform/errors.ts';
import { type LimitCheck, listed } from '../thresholds.ts';

const percent = (part: number): string => `${(part * 100).toFixed(1)} %`;
const GIB = 1024 ** 3;

/** The disks of some folders of this machine. A folder that is not there yet needs no room. */
export async function diskNearlyFull(folders: readonly string[], { monitoring }: Pick<Config, 'monitoring'>): Promise<LimitCheck> {
  const { min_disk_free } = monitoring.thresholds;
  const disks = (await Promise.all([...new Set(folders)].map(freeOf))).filter((disk) => disk !== undefined);
  const full = disks.filter(({ share }) => share < min_disk_free).toSorted((a, b) => a.share - b.share);
  const named = full.map(({ folder, share, bytes }) => `${folder} (${percent(share)}, ${(bytes / GIB).toFixed(1)} GiB)`);
  return {
    name: 'disk_nearly_full',
    severity: 'critical',
    beyond: full.length > 0,
    value: Math.min(1, ...disks.map(({ share }) => share)),
    threshold: min_disk_free,
    text: `less than ${percent(min_disk_free)} (monitoring.thresholds.min_disk_free) is free on the disks of ${full.length} folders${full.length === 0 ? '' : `: ${listed(named)}`}`,
    subjects: full.map(({ folder }) => folder).join(' '),
  };
}

async function freeOf(folder: string): Promise<{ folder: string; share: number; bytes: number } | undefined> {
  try {
    // What this process may use: some blocks are kept for the administrator.
    const { bavail, blocks, bsize } = await statfs(folder);
    return blocks === 0 ? undefined : { folder, share: bavail / blocks, bytes: bavail * bsize };
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** What paid calls of the model have cost, against `model.caps`. A cap of 0 is a decision, and no limit that comes near. */
export async function spendNearCap(
  sql: Sql,
  clock: Clock,
  { model, monitoring }: Pick<Config, 'model' | 'monitoring'>,
): Promise<LimitCheck> {
  const { max_spend_share } = monitoring.thresholds;
  const totals = (await readTotals(sql, clock, model))
    .filter(({ capMicros }) => capMicros > 0)
    .map((one) => ({ ...one, share: one.spentMicros / one.capMicros }));
  const near = totals.filter(({ share }) => share >= max_spend_share);
  const named = near.map(
    ({ purpose, window, spentMicros, capMicros }) =>
      `${dollars(spentMicros)} of ${dollars(capMicros)} a ${window} for ${purpose} (model.caps.${purpose}.${window})`,
  );
  return {
    name: 'spend_near_cap',
    beyond: near.length > 0,
    value: Math.max(0, ...totals.map(({ share }) => share)),
    threshold: max_spend_share,
    text: `${near.length} caps of the language model are spent to ${percent(max_spend_share)} or more (monitoring.thresholds.max_spend_share)${near.length === 0 ? '' : `: ${listed(named)}`}`,
    subjects: near.map(({ purpose, window }) => `${purpose}.${window}`).join(' '),
  };
}

/** The age of the newest backup. By primary key. */
export async function backupTooOld(sql: Sql, { monitoring }: Pick<Config, 'monitoring'>, now: Date): Promise<LimitCheck> {
  const { max_backup_age } = monitoring.thresholds;
  const [row] = await sql.rows<{ snapshot_at: Date; host: string; folder: string }>(
    'SELECT snapshot_at, host, folder FROM backups ORDER BY snapshot_at DESC LIMIT 1',
  );
  const seconds = row === undefined ? 0 : (now.getTime() - row.snapshot_at.getTime()) / 1000;
  const hours = (of: number): string => `${Math.round(of / 360) / 10} h`;
  return {
    name: 'backup_too_old',
    beyond: seconds > max_backup_age,
    value: Math.max(0, seconds),
    threshold: max_backup_age,
    text:
      row === undefined
        ? 'no backup was made yet, so none is too old'
        : `the newest backup is ${hours(seconds)} old (${row.folder} on ${row.host}); the limit is ${hours(max_backup_age)} (monitoring.thresholds.max_backup_age)`,
  };
}
