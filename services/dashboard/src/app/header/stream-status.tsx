import { Tooltip } from '@mantine/core';
import { useHotkeys } from '@mantine/hooks';
import { pauseStream, useStreamState } from '../../data/stream.ts';
import { clock } from '../../format/times.ts';

/** What the reader of a page must know of it: whether it changes by itself. A click or the key p holds it still. */
export function StreamStatus() {
  const { state, since, reason } = useStreamState();
  useHotkeys([['p', () => pauseStream(state !== 'paused')]]);
  const isConnecting = state === 'away' && reason === 'connecting';
  const text = {
    live: 'Live',
    paused: `Paused, data as of ${clock(since)}`,
    away: isConnecting ? 'Connecting …' : `Live updates paused, data as of ${clock(since)}`,
  }[state];
  const hint = {
    live: 'Changes are shown as they happen. Click (or press p) to hold the page still.',
    paused: 'You hold the page still. Click for live updates.',
    away: isConnecting ? 'The stream of changes is being opened.' : `${reason}. The page asks every 10 s until it does again.`,
  }[state];
  return (
    <Tooltip label={hint}>
      <button
        type="button"
        className="stream"
        data-state={isConnecting ? 'connecting' : state}
        onClick={() => pauseStream(state !== 'paused')}
        aria-pressed={state === 'paused'}
      >
        <span aria-hidden="true" className="stream-mark" />
        <span role="status">{text}</span>
      </button>
    </Tooltip>
  );
}
