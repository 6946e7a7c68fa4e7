import { Button, Modal, Progress } from '@mantine/core';
import { useRef, useState } from 'react';
import { answer, api, type Job, queries, type Schemas } from '../../data/client.ts';
import { lacks, may, useMe } from '../../data/session.ts';
import { count } from '../../format/numbers.ts';
import { Failure } from '../../parts/states.tsx';
import { type Filters, inWords } from './filters.ts';

type Action = 'cancel' | 'retry' | 'redrive';
type Left = Schemas['BulkAnswer']['left'][number];
/** As the server takes them at once. */
const SLICE = 200;

const ACTIONS: Record<Action, { name: string; effect: string; done: string }> = {
  cancel: { name: 'Cancel', effect: 'Those that wait end now; those that run are told to stop.', done: 'cancelled' },
  retry: { name: 'Retry', effect: 'Ended jobs start again, scheduled ones start now.', done: 'started again' },
  redrive: {
    name: 'Redrive',
    effect: 'Those that failed, expired or were cancelled start again, with all attempts.',
    done: 'started again',
  },
};

interface Target {
  action: Action;
  ids?: readonly string[];
  filters?: Filters;
}

interface BarProps {
  filters: Filters;
  rows: readonly Job[];
  chosen: ReadonlySet<string>;
  clear: () => void;
}

/** What can be done with the chosen jobs, or with all that match. */
export function BulkBar({ filters, rows, chosen, clear }: BarProps) {
  const { data: me } = useMe();
  const [isAll, setAll] = useState(false);
  const [target, setTarget] = useState<Target>();
  if (chosen.size === 0) return null;
  const isPage = rows.every(({ id }) => chosen.has(id));
  const mayChange = may(me, 'jobs');
  const takesAll = isAll && isPage;
  const start = (action: Action) => setTarget(takesAll ? { action, filters } : { action, ids: [...chosen] });
  return (
    <div className="bulk" role="group" aria-label="Chosen jobs">
      <strong>{takesAll ? `All ${inWords(filters)}` : `${count(chosen.size)} chosen`}</strong>
      {isPage && !takesAll && (
        <button type="button" className="text-button" onClick={() => setAll(true)}>
          Choose all that match, beyond those shown
        </button>
      )}
      {(Object.keys(ACTIONS) as Action[]).map((action) => (
        <Button
          key={action}
          size="xs"
          variant="default"
          disabled={!mayChange}
          title={mayChange ? undefined : lacks('jobs')}
          onClick={() => start(action)}
        >
          {ACTIONS[action].name} …
        </Button>
      ))}
      <button
        type="button"
        className="text-button"
        onClick={() => {
          setAll(false);
          clear();
        }}
      >
        Choose none
      </button>
      {target && (
        <BulkDialog
          target={target}
          close={() => {
            setTarget(undefined);
            setAll(false);
            clear();
            void queries.invalidateQueries({ queryKey: ['jobs'] });
          }}
        />
      )}
    </div>
  );
}

interface Run {
  expected?: number;
  isAtLeast: boolean;
  done: number;
  left: Left[];
  state: 'counting' | 'asking' | 'working' | 'ended';
  error?: Error;
}

const body = ({ action, ids, filters }: Target, ids200?: readonly string[]) => {
  if (ids !== undefined) return { action, ids: [...(ids200 ?? ids)] };
  const { state, ...rest } = filters ?? {};
  return { action, filter: { ...rest, ...(state !== undefined && { state: state.split(',') as Job['state'][] }) } };
};

function useRun(target: Target) {
  const [run, setRun] = useState<Run>({ isAtLeast: false, done: 0, left: [], state: 'counting' });
  const isStopped = useRef(false);
  const change = (changes: Partial<Run>) => setRun((before) => ({ ...before, ...changes }));
  const add = ({ done, left }: Schemas['BulkAnswer']) =>
    setRun((before) => ({ ...before, done: before.done + done.length, left: [...before.left, ...left] }));

  async function byIds(ids: readonly string[]): Promise<void> {
    for (let from = 0; from < ids.length && !isStopped.current; from += SLICE)
      add(await answer(api.POST('/v1/jobs/bulk', { body: body(target, ids.slice(from, from + SLICE)) })));
  }
  async function byFilter(): Promise<void> {
    let cursor: string | null | undefined;
    while (cursor !== null && !isStopped.current) {
      const slice: Schemas['BulkAnswer'] = await answer(
        api.POST('/v1/jobs/bulk', { body: { ...body(target), ...(cursor && { cursor }) } }),
      );
      add(slice);
      cursor = slice.next;
    }
  }
  return {
    run,
    stop: () => {
      isStopped.current = true;
    },
    async look(): Promise<void> {
      try {
        const first = await answer(api.POST('/v1/jobs/bulk', { body: { ...body(target, target.ids?.slice(0, SLICE)), dry_run: true } }));
        change({
          state: 'asking',
          expected: target.ids === undefined ? first.matched : Math.max(first.matched, target.ids.length > SLICE ? target.ids.length : 0),
          isAtLeast: first.at_least,
        });
      } catch (error) {
        change({ state: 'ended', error: error as Error });
      }
    },
    async start(): Promise<void> {
      change({ state: 'working' });
      try {
        await (target.ids === undefined ? byFilter() : byIds(target.ids));
        change({ state: 'ended' });
      } catch (error) {
        change({ state: 'ended', error: error as Error });
      }
    },
  };
}

/** Says how many before anything changes, shows the progress, can be stopped, and ends with a report. */
function BulkDialog({ target, close }: { target: Target; close: () => void }) {
  const { name, effect, done } = ACTIONS[target.action];
  const { run, look, start, stop } = useRun(target);
  const looked = useRef(false);
  if (!looked.current) {
    looked.current = true;
    void look();
  }
  const whose = target.filters === undefined ? 'chosen jobs' : inWords(target.filters);
  const many = run.expected === undefined ? '…' : `${count(run.expected)}${run.isAtLeast ? ' or more' : ''}`;
  return (
    <Modal opened onClose={run.state === 'working' ? stop : close} title={`${name}: ${whose}`} closeButtonProps={{ 'aria-label': 'Close' }}>
      {run.state === 'counting' && <p>Counting …</p>}
      {run.state === 'asking' && (
        <>
          <p>
            {name} <strong>{many}</strong> {whose}? {effect}
          </p>
          <div className="actions">
            <Button variant="default" onClick={close}>
              Leave them
            </Button>
            <Button onClick={() => void start()} disabled={run.expected === 0}>
              {name} {many}
            </Button>
          </div>
        </>
      )}
      {(run.state === 'working' || run.state === 'ended') && run.error === undefined && (
        <p role="status">
          <strong>{count(run.done)}</strong> {done}
          {leftWords(run.left)}
        </p>
      )}
      {run.state === 'working' && (
        <>
          <Progress value={(100 * (run.done + run.left.length)) / Math.max(1, run.expected ?? 1)} aria-label="Progress" />
          <div className="actions">
            <Button variant="default" onClick={stop}>
              Stop
            </Button>
          </div>
        </>
      )}
      {run.error && <Failure error={run.error} />}
      {run.state === 'ended' && (
        <div className="actions">
          <Button onClick={close}>Close</Button>
        </div>
      )}
    </Modal>
  );
}

const LEFT: Record<Left['code'], string> = {
  'job.unknown': 'not kept any more',
  'job.ended': 'had ended',
  'job.live': 'are not over yet',
  'job.superseded': 'superseded: another live job does the same work',
};

function leftWords(left: readonly Left[]): string {
  const groups = Object.entries(Object.groupBy(left, ({ code }) => code));
  return groups.map(([code, of]) => `, ${count(of?.length)} ${LEFT[code as Left['code']]}`).join('');
}
