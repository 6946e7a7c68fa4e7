import { Link } from '@tanstack/react-router';
import type { ReactNode } from 'react';
import { useStreamState } from '../../data/stream.ts';
import { clock } from '../../format/times.ts';
import { useNow } from '../../parts/now.ts';
import { Alerts } from './alerts.tsx';
import { Queues } from './queues.tsx';
import { Tiles } from './tiles.tsx';
import { VerdictLine } from './verdict.tsx';

/** For a screen on the wall: what can be read from three metres, nothing that must be pressed. Holds in 1920 × 1080. */
export function Wall({ charts }: { charts: ReactNode }) {
  const { state, since } = useStreamState();
  const now = useNow(1_000);
  return (
    <div className="page mesh wall">
      <div className="page-head">
        <h1>stockmesh</h1>
        <span className="grow" />
        <span data-tone={state === 'live' ? 'good' : 'warn'}>{state === 'live' ? '● live' : `◔ data as of ${clock(since)}`}</span>
        <time className="wall-time">{clock(now, now)}</time>
        <Link to="/mesh" className="dim">
          Leave
        </Link>
      </div>
      <VerdictLine />
      <Tiles />
      <div className="columns">
        <Queues />
        <Alerts isBrief />
      </div>
      {charts}
    </div>
  );
}
