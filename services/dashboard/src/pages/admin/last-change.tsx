import { may, useMe } from '../../data/session.ts';
import { Moment } from '../../parts/words.tsx';
import { type AuditRow, useAudit } from './queries.ts';

export const whoOf = ({ name, actor, source }: Pick<AuditRow, 'name' | 'actor' | 'source'>): string =>
  name ?? actor ?? (source === 'cli' ? 'somebody at the command line' : 'somebody without a key');

/** Who did this last. The log of changes is for `admin` alone: others see nothing here. */
export function LastChange({ action, target, words }: { action: string; target?: string; words: string }) {
  const { data: me } = useMe();
  const { data } = useAudit({ action, outcome: 'done', ...(target !== undefined && { target }) }, may(me, 'admin'), 1);
  const row = data?.pages[0]?.rows[0];
  if (row === undefined) return null;
  return (
    <span className="dim">
      {words} by {whoOf(row)}, <Moment at={row.at} />
    </span>
  );
}
