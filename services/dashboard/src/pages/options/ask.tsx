/** Asking for a ranking, and what stands there until one is made. */
import { Button } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { Link, useLocation } from '@tanstack/react-router';
import { useEffect, useRef } from 'react';
import { type ApiError, answer, api, queries } from '../../data/client.ts';
import { lacks, may, useMe } from '../../data/session.ts';
import { Empty } from '../../parts/states.tsx';
import { StateMark } from '../../parts/words.tsx';
import { type Mode, type Ranking, useRankJob } from './queries.ts';
import { MODES } from './words.ts';

/** A key of a user asks in the name of that user. */
export function useAsk(symbol: string, mode: Mode, user: string | undefined) {
  const { data: me } = useMe();
  const isOwnKey = !may(me, 'jobs');
  const asker = isOwnKey ? (user ?? me?.users[0]) : undefined;
  const asking = useMutation({
    async mutationFn() {
      const asked = await answer(api.POST('/v1/rankings', { body: { symbol, mode, ...(asker !== undefined && { user: asker }) } }));
      return asked as Extract<typeof asked, { jobId: string }>;
    },
    onSettled: () => queries.invalidateQueries({ queryKey: ['ranking', symbol] }),
  });
  return { ...asking, symbol, mode, mayAsk: may(me, 'jobs') || (me?.users.length ?? 0) > 0 };
}
export type Asking = ReturnType<typeof useAsk>;

/** Where nothing was ranked yet, the button stands in the place of the ranking. */
export function AskButton({ asking, ranking }: { asking: Asking; ranking: Ranking | undefined }) {
  const { mayAsk, isPending, mutate, error, data, mode } = asking;
  return (
    <span className="login">
      {error !== null && <span data-tone="bad">{error.message}</span>}
      {data?.mode === mode && <AskedJob id={data.jobId} message={data.message} isNew={data.outcome === 'queued'} />}
      {(ranking?.run_at != null || ranking?.state?.state === 'failed') && (
        <Button
          size="xs"
          variant="default"
          disabled={!mayAsk}
          title={mayAsk ? `${MODES[mode].about}: from the chain as it is quoted now` : lacks('jobs')}
          loading={isPending}
          onClick={() => mutate()}
        >
          Rank again
        </Button>
      )}
    </span>
  );
}

/** The job that was asked for, as events change it. */
function AskedJob({ id, message, isNew }: { id: string; message: string; isNew: boolean }) {
  const { data: job } = useRankJob(id);
  return (
    <span role="status">
      {isNew ? '' : `${message}: `}
      <Link to="/jobs/$id" params={{ id }}>
        {job === undefined ? 'job' : <StateMark state={job.state} />}
      </Link>
    </span>
  );
}

/** Where there is no ranking: pending, failed, or never asked for. */
export function NotRanked({ state, asking }: { state: Ranking['state']; asking: Asking }) {
  const { ask } = useLocation().state;
  const asked = useRef(false);
  const { mutate, mayAsk, symbol, mode } = asking;
  const isNever = state === null || state.state === 'never';
  useEffect(() => {
    if (!isNever || ask !== true || !mayAsk || asked.current || mode === 'exit') return;
    asked.current = true;
    mutate();
  }, [isNever, ask, mayAsk, mutate, mode]);
  if (state?.state === 'pending')
    return (
      <Empty title={`${symbol} is being ranked`}>
        <PendingJob state={state} />
        It appears here by itself.
      </Empty>
    );
  if (state?.state === 'failed')
    return (
      <Empty title={`${symbol} could not be ranked`}>
        <p data-tone="bad">{state.text}</p>
        {state.job !== null && (
          <Link to="/jobs/$id" params={{ id: state.job.id }}>
            The job
          </Link>
        )}
      </Empty>
    );
  return (
    <Empty title={`${symbol} was never ranked for this`}>
      <p>
        {MODES[mode].about}: the whole chain is read, and each {mode === 'exit' ? 'position' : 'contract'} gets a rank from 0 to 100 with
        its reasons.
      </p>
      <Button
        size="xs"
        mt="xs"
        disabled={!mayAsk}
        title={mayAsk ? undefined : lacks('jobs')}
        loading={asking.isPending}
        onClick={() => mutate()}
      >
        Rank {symbol} now
      </Button>
    </Empty>
  );
}

/** The live job, and the one that it waits for, with the reason of either. */
function PendingJob({ state: { job, text } }: { state: NonNullable<Ranking['state']> }) {
  const { data } = useRankJob(job?.id);
  const needs = data?.needs.find(({ state }) => state !== 'completed');
  const { data: needed } = useRankJob(needs?.id);
  if (data === undefined) return <p>{text}</p>;
  return (
    <p role="status">
      <Link to="/jobs/$id" params={{ id: data.id }}>
        rank job
      </Link>{' '}
      <StateMark state={data.state} /> {data.reason}
      {needs !== undefined && (
        <>
          , behind{' '}
          <Link to="/jobs/$id" params={{ id: needs.id }}>
            {needs.type} {needs.symbol}
          </Link>{' '}
          <StateMark state={needed?.state ?? needs.state} /> {needed?.reason}
        </>
      )}
    </p>
  );
}

/** The answer of an endpoint that has nothing of the symbol yet. */
export const isNotThere = (error: Error | null): boolean => error !== null && (error as ApiError).status === 404;
