import { Button } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { answer, api } from '../../data/client.ts';
import { lacks, may, mayForUser, useMe } from '../../data/session.ts';
import { exact } from '../../format/numbers.ts';
import { Failure } from '../../parts/states.tsx';
import type { Dataset } from './dataset.ts';
import { Estimate } from './preview.tsx';
import { type Coverage, ownUser, readAgain } from './queries.ts';

/** Downloads the days of the shown year that are missing, failed or partial: first what that would take. */
export function Gaps({ dataset, coverage: { counts, from, to } }: { dataset: Dataset; coverage: Coverage }) {
  const { data: me } = useMe();
  const user = ownUser(me);
  const body = { ...dataset, start_date: from, end_date: to, ...(user && { user }) } as never;
  const dry = useMutation({
    mutationFn: async () => {
      const preview = await answer(api.POST('/v1/history/gaps', { params: { query: { dry_run: 'true' } }, body }));
      return 'dry_run' in preview ? preview : undefined;
    },
  });
  const fill = useMutation({
    mutationFn: async () => {
      const filled = await answer(api.POST('/v1/history/gaps', { body }));
      return 'jobs' in filled ? filled : undefined;
    },
    onSuccess: () => {
      dry.reset();
      return readAgain();
    },
  });
  const days = counts.missing + counts.failed + counts.partial;
  const mayFill = user === undefined ? may(me, 'jobs') : mayForUser(me, 'jobs', user);
  const error = fill.error ?? dry.error;
  return (
    <div className="panel-body stack">
      <span className="fields">
        <Button size="xs" variant="default" disabled={days === 0} loading={dry.isPending} onClick={() => dry.mutate()}>
          Fill the gaps …
        </Button>
        <span className="dim">
          {days === 0 ? 'Nothing that another download could bring.' : `${exact(days)} days of this year are missing, failed or partial.`}
        </span>
      </span>
      {error && <Failure error={error} />}
      {dry.data && (
        <div className="stack dry-run" role="status">
          <p>
            <strong>{exact(dry.data.days)} days</strong>
            {dry.data.downloads.length > 1 ? ` in ${dry.data.downloads.length} downloads: ` : ': '}
            {dry.data.downloads.map((one) => (one.from === one.to ? one.from : `${one.from} – ${one.to}`)).join(', ')}
          </p>
          <Estimate of={dry.data} />
          <span className="fields">
            <Button
              size="xs"
              disabled={!mayFill}
              title={mayFill ? undefined : lacks('jobs')}
              loading={fill.isPending}
              onClick={() => fill.mutate()}
            >
              Fill them
            </Button>
            <Button size="xs" variant="default" onClick={() => dry.reset()}>
              Leave them
            </Button>
          </span>
        </div>
      )}
      {fill.data && (
        <p role="status">
          {exact(fill.data.days)} days asked for:{' '}
          {fill.data.jobs.map(({ job_id, message }) => (
            <Link key={job_id} to="/jobs/$id" params={{ id: job_id }}>
              {message}
            </Link>
          ))}
        </p>
      )}
    </div>
  );
}
