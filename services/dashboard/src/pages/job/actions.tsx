import { Button, Menu, Modal } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { useState } from 'react';
import { answer, api, queries } from '../../data/client.ts';
import { lacks, mayForUser, useMe } from '../../data/session.ts';
import { useJobTypes } from '../../parts/jobs/types.ts';
import { Failure } from '../../parts/states.tsx';
import { copyText } from '../../parts/words.tsx';
import type { Detail } from './queries.ts';

const ENDED = new Set(['completed', 'completed_with_errors', 'failed', 'cancelled', 'expired']);

export function Actions({ job }: { job: Detail }) {
  const { data: me } = useMe();
  const [isAsking, setAsking] = useState(false);
  const params = { params: { path: { id: job.id } } };
  const settle = () => queries.invalidateQueries({ queryKey: ['job', job.id] });
  const cancel = useMutation({ mutationFn: () => answer(api.POST('/v1/jobs/{id}/cancel', { ...params, body: {} })), onSettled: settle });
  const retry = useMutation({ mutationFn: () => answer(api.POST('/v1/jobs/{id}/retry', { ...params, body: {} })), onSettled: settle });
  const isEnded = ENDED.has(job.state);
  const mayChange = mayForUser(me, 'jobs', job.user ?? '');
  const title = mayChange ? undefined : lacks('jobs');
  const error = cancel.error ?? retry.error;
  return (
    <>
      <Button
        size="xs"
        variant="default"
        disabled={!mayChange || isEnded}
        title={title ?? (isEnded ? 'It has ended.' : undefined)}
        onClick={() => setAsking(true)}
      >
        Cancel …
      </Button>
      <Button
        size="xs"
        variant="default"
        disabled={!mayChange || !(isEnded || job.state === 'scheduled')}
        title={title}
        loading={retry.isPending}
        onClick={() => retry.mutate()}
      >
        {job.state === 'scheduled' ? 'Start now' : 'Retry'}
      </Button>
      <RunAgain job={job} lack={title} />
      <CopyMenu job={job} />
      {error && <Failure error={error} />}
      <Modal
        opened={isAsking}
        onClose={() => setAsking(false)}
        title={`Cancel ${job.type} ${job.symbol ?? ''}`}
        closeButtonProps={{ 'aria-label': 'Close' }}
      >
        <p>
          {job.subscribers.length > 1 ? `${job.subscribers.join(', ')} wait for it. ` : ''}
          {job.state === 'running' ? 'The worker is told to stop.' : 'It ends now.'} Jobs that need it end too.
        </p>
        <div className="actions">
          <Button variant="default" onClick={() => setAsking(false)}>
            Leave it
          </Button>
          <Button
            onClick={() => {
              setAsking(false);
              cancel.mutate();
            }}
          >
            Cancel the job
          </Button>
        </div>
      </Modal>
    </>
  );
}

/** Asks for the same work as another job. `lack`: why this key may not. */
function RunAgain({ job, lack }: { job: Detail; lack: string | undefined }) {
  const navigate = useNavigate();
  const again = useMutation({
    mutationFn: () => answer(api.POST('/v1/jobs', { body: { type: job.type, ...(job.payload as object) } as never })),
    onSuccess: ({ jobs }) => jobs[0] && jobs[0].id !== job.id && navigate({ to: '/jobs/$id', params: { id: jobs[0].id } }),
  });
  const types = useJobTypes();
  const isAsked = types.data?.types.some(({ name, body }) => name === job.type && body !== null) ?? true;
  return (
    <>
      <Button
        size="xs"
        variant="default"
        disabled={lack !== undefined || !isAsked}
        title={
          lack ?? (isAsked ? 'A new job with the same payload' : `The mesh itself makes jobs of the type ${job.type}: retry this one.`)
        }
        loading={again.isPending}
        onClick={() => again.mutate()}
      >
        Run again
      </Button>
      {again.error && <Failure error={again.error} />}
      {again.data?.jobs[0]?.id === job.id && (
        <p className="dim" role="status">
          The same work is under way: it is this job.
        </p>
      )}
    </>
  );
}

/** Without the key, which does not belong into a history of commands. */
function CopyMenu({ job }: { job: Detail }) {
  const texts = {
    'as curl': `curl -H "Authorization: Bearer $STOCKMESH_KEY" ${location.origin}/v1/jobs/${job.id}`,
    'as command': `npx stockmesh job ${job.id}`,
    'the request as curl': `curl -H "Authorization: Bearer $STOCKMESH_KEY" -H 'content-type: application/json' -d '${JSON.stringify({ type: job.type, ...(job.payload as object) }).replaceAll("'", "'\\''")}' ${location.origin}/v1/jobs`,
  };
  return (
    <Menu position="bottom-end" transitionProps={{ duration: 0 }}>
      <Menu.Target>
        <Button size="xs" variant="default">
          Copy ▾
        </Button>
      </Menu.Target>
      <Menu.Dropdown>
        {Object.entries(texts).map(([name, text]) => (
          <Menu.Item key={name} onClick={() => void copyText(text)}>
            {name}
          </Menu.Item>
        ))}
      </Menu.Dropdown>
    </Menu>
  );
}
