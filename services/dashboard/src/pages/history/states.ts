/** The states of a day. Letter and pattern say the same as the colour. */
import type { DayState } from './queries.ts';

export const DAY_STATES: Record<DayState, { letter: string; word: string; about: string }> = {
  complete: { letter: 'C', word: 'complete', about: 'Stored' },
  degraded: { letter: 'D', word: 'degraded', about: 'Stored, and the source says that it is worth less' },
  partial: { letter: 'P', word: 'partial', about: 'The file is there and lacks this day, or a part of it' },
  empty: { letter: 'E', word: 'empty', about: 'The source has nothing of it' },
  failed: { letter: 'F', word: 'failed', about: 'Its last download failed' },
  not_entitled: { letter: 'N', word: 'not entitled', about: 'The account of the source may not read it' },
  pending: { letter: 'W', word: 'waits', about: 'It cannot be had yet' },
  missing: { letter: 'M', word: 'missing', about: 'Never downloaded' },
  closed: { letter: '·', word: 'closed', about: 'No trading day' },
};

/** Of which a file has rows. */
export const hasRows = (state: DayState): boolean => state === 'complete' || state === 'degraded' || state === 'partial';
