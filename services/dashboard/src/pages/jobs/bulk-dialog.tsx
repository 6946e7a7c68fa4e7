import { Button, Modal, Progress } from '@mantine/core';
import { Link } from '@tanstack/react-router';
import { plain } from '../../format/numbers.ts';
import { useFocusBack } from '../../parts/focus-back.ts';
import { Failure } from '../../parts/states.tsx';
import { ACTIONS, type Left, type Run, type Target, targetInWords, useRun } from './bulk-run.ts';

/** Of each reason so many are named; a page of a thousand links helps nobody. */
const NAMED = 20;

interface DialogProps {
  target: Target;
  /** `hasChanged`: something was sent. */
  close: (hasChanged: boolean) => void;
}

/** Says how many before anything changes, shows the progress, can be stopped, and ends with a report. */
export default function BulkDialog({ target, close }: DialogProps) {
  useFocusBack();
  const { name } = ACTIONS[target.action];
  const { run, start, stop } = useRun(target);
  const isBusy = run.state === 'working';
  const isOver = run.state === 'ended' || run.state === 'stopped';
  return (
    <Modal
      opened
      onClose={() => (isBusy ? stop() : close(isOver))}
      title={`${name} jobs`}
      closeButtonProps={{ 'aria-label': isBusy ? 'Stop' : 'Close' }}
    >
      {run.state === 'counting' && <p role="status">Counting …</p>}
      {run.state === 'asking' && <Question target={target} run={run} start={start} leave={() => close(false)} />}
      {(isBusy || isOver) && <Report target={target} run={run} />}
      {isBusy && (
        <div className="actions">
          <Button variant="default" onClick={stop} data-autofocus>
            Stop
          </Button>
        </div>
      )}
      {run.error && <Failure error={run.error} />}
      {isOver && (
        <div className="actions">
          <Button onClick={() => close(true)}>Close</Button>
        </div>
      )}
    </Modal>
  );
}

const many = ({ expected = 0, isAtLeast }: Run): string => `${plain(expected)}${isAtLeast ? ' or more' : ''}`;

function Question({ target, run, start, leave }: { target: Target; run: Run; start: () => Promise<void>; leave: () => void }) {
  const { name, effect } = ACTIONS[target.action];
  const unfit = (target.ids?.length ?? 0) - (run.expected ?? 0);
  return (
    <>
      <p>
        {name} <strong>{many(run)}</strong> {targetInWords(target)}? {effect}
      </p>
      {target.ids !== undefined && unfit > 0 && (
        <p className="dim">
          {plain(unfit)} of those chosen {unfit === 1 ? 'is' : 'are'} in a state that this does not change.
        </p>
      )}
      <div className="actions">
        <Button variant="default" onClick={leave}>
          Leave them
        </Button>
        <Button onClick={() => void start()} disabled={run.expected === 0}>
          {name} {many(run)}
        </Button>
      </div>
    </>
  );
}

function Report({ target, run }: { target: Target; run: Run }) {
  const { done: word } = ACTIONS[target.action];
  const { done, left, state, expected = 0 } = run;
  return (
    <>
      <p role="status">
        {state === 'stopped' && 'Stopped; what was done stays. '}
        <strong>{plain(done)}</strong> {word}
        {left.length > 0 && `, ${plain(left.length)} left as they were`}
        {state === 'working' ? ' …' : '.'}
      </p>
      {state === 'working' && <Progress value={(100 * (done + left.length)) / Math.max(1, expected)} aria-label="Progress" />}
      {state !== 'working' && <LeftOut left={left} />}
    </>
  );
}

const LEFT: Record<Left['code'], string> = {
  'job.unknown': 'not kept any more',
  'job.ended': 'had ended',
  'job.live': 'not over yet',
  'job.superseded': 'superseded: another live job does the same work',
};

/** Those that were left, by reason, each with a link. */
function LeftOut({ left }: { left: readonly Left[] }) {
  return Object.entries(Object.groupBy(left, ({ code }) => code)).map(([code, of]) => (
    <details key={code} open>
      <summary>
        {plain(of.length)} {LEFT[code as Left['code']]}
      </summary>
      <ul className="left-out">
        {of.slice(0, NAMED).map(({ id }) => (
          <li key={id}>
            <Link to="/jobs/$id" params={{ id }}>
              <code>{id}</code>
            </Link>
          </li>
        ))}
        {of.length > NAMED && <li className="dim">and {plain(of.length - NAMED)} more</li>}
      </ul>
    </details>
  ));
}
