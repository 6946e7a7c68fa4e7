import { Button } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { answer, api } from '../../data/client.ts';
import { lacks, may, mayForUser, useMe } from '../../data/session.ts';
import { count } from '../../format/numbers.ts';
import { Panel } from '../../parts/panel.tsx';
import { Loaded } from '../../parts/states.tsx';
import { Mark } from '../../parts/words.tsx';
import { inWords } from './dataset.ts';
import { type Download, type RETRIED, readAgain, useFailed } from './queries.ts';

type Item = NonNullable<ReturnType<typeof useFailed>['data']>['items'][number];
type Retried = (typeof RETRIED)[number];

const MARKS: Record<Retried, { tone: string; mark: string; word: string }> = {
  failed: { tone: 'bad', mark: '✕', word: 'failed' },
  not_entitled: { tone: 'warn', mark: '⊘', word: 'not entitled' },
  not_yet: { tone: 'calm', mark: '◷', word: 'not there yet' },
};

export interface Group {
  state: Retried;
  /** Of the first of them. */
  reason: string;
  items: Item[];
}

/** Items whose reasons differ in days and numbers alone are of one group; the largest is the first. */
export function groupsOf(items: readonly Item[]): Group[] {
  const kinds = Map.groupBy(items, ({ state, reason }) => `${state} ${(reason ?? '').replaceAll(/\d[\d.,:T-]*/g, '#')}`);
  return [...kinds.values()]
    .map((group) => ({ state: group[0]?.state as Retried, reason: group[0]?.reason ?? 'no reason was given', items: group }))
    .sort((a, b) => b.items.length - a.items.length);
}

/** The period of an object: a day, a month or a year. */
export const periodOf = (key: string): string => /(?:date|month|year)=([\d-]+)/.exec(key)?.[1] ?? key;

/** What of a download failed, by its reason, and starting it again. */
export function Failed({ download }: { download: Download }) {
  const { data: me } = useMe();
  const query = useFailed(download);
  const retry = useMutation({
    mutationFn: () => answer(api.POST('/v1/jobs/{id}/retry', { params: { path: { id: download.job_id } }, body: {} })),
    onSettled: readAgain,
  });
  const isEnded = download.ended_at !== null;
  const mayAct = download.user === null ? may(me, 'jobs') : mayForUser(me, 'jobs', download.user);
  const total = download.items.failed + download.items.not_entitled + download.items.not_yet;
  return (
    <Panel
      title={`Failed of ${inWords(download)}, ${download.from} – ${download.to}`}
      aside={
        <>
          {retry.error && <span data-tone="bad">{retry.error.message}</span>}
          <Button
            size="xs"
            variant="default"
            disabled={!mayAct || !isEnded}
            title={!mayAct ? lacks('jobs') : isEnded ? 'What is done stays done' : 'Once the download has ended'}
            loading={retry.isPending}
            onClick={() => retry.mutate()}
          >
            Retry these {count(total)}
          </Button>
        </>
      }
    >
      <Loaded query={query} lines={2}>
        {({ items, isWhole }) => (
          <ul className="groups">
            {groupsOf(items).map(({ state, reason, items: group }) => (
              <li key={`${state} ${reason}`}>
                <span className="group-count">{count(group.length)}</span>
                <span>
                  <Mark {...MARKS[state]}>{MARKS[state].word}</Mark>
                  <div>{reason}</div>
                  <details>
                    <summary>{group.length === 1 ? 'Which one' : 'Which ones'}</summary>
                    <p className="mono">{group.map(({ key }) => periodOf(key)).join(', ')}</p>
                  </details>
                </span>
              </li>
            ))}
            {!isWhole && <li className="dim">The first thousand are grouped.</li>}
          </ul>
        )}
      </Loaded>
    </Panel>
  );
}
