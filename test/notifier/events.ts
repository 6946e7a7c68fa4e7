/** Events as the product tells them. */
import type { NotifyEvent } from '../../services/platform/outbox.ts';

export const picksReady = (user: string): Pick<NotifyEvent, 'name' | 'severity' | 'subject' | 'details'> => ({
  name: 'picks.ready',
  severity: 'info',
  subject: `picks:${user}`,
  details: { user, week: '2026-01-05', version: 1, summary: 'x' },
});
