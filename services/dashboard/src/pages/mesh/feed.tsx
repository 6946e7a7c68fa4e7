import { NativeSelect, TextInput } from '@mantine/core';
import { Link, useNavigate } from '@tanstack/react-router';
import { type MouseEvent, memo, useMemo, useRef, useState } from 'react';
import { useEvents } from '../../data/stream.ts';
import { clock } from '../../format/times.ts';
import { Panel } from '../../parts/panel.tsx';
import { type Line, lineOf, lineOfJob } from './feed-lines.ts';
import { useEndedJobs } from './queries.ts';

const LINES = 500;
const KINDS = ['job', 'status', 'data', 'portfolio', 'presence', 'alert'] as const;

interface Lines {
  lines: readonly Line[];
  /** Lines that wait while the list is held. */
  held: number;
  hold: (on: boolean) => void;
}

/** Newest first. Under the pointer or with the focus in it the list holds still; what comes meanwhile is shown after that. */
function useLines(): Lines {
  const [lines, setLines] = useState<readonly Line[]>([]);
  const [held, setHeld] = useState(0);
  const waiting = useRef<Line[]>([]);
  const isHeld = useRef(false);
  const next = useRef(0);

  function show(): void {
    if (waiting.current.length === 0) return;
    const fresh = waiting.current;
    waiting.current = [];
    setLines((before) => [...fresh, ...before].slice(0, LINES));
  }
  useEvents((events, dropped) => {
    const told = events.filter(({ type }) => type !== 'stats');
    // Of a burst only the newest are seen: no line is made for the others.
    const fresh = told.slice(-LINES).map((event) => lineOf(event, next.current++));
    const missing = dropped + told.length - fresh.length;
    if (missing > 0)
      fresh.push({ key: `${next.current++}`, at: Date.now(), kind: 'job', tone: 'calm', text: `… and ${missing} more, too many to show` });
    waiting.current = [...fresh.reverse(), ...waiting.current].slice(0, LINES);
    if (isHeld.current) setHeld(waiting.current.length);
    else show();
  });
  return {
    lines,
    held,
    hold(on) {
      isHeld.current = on;
      if (on) return;
      setHeld(0);
      show();
    },
  };
}

/** What `mosquitto_sub` would show, as sentences. Before the first of them it shows the jobs that ended last. */
export function Feed() {
  const { lines, held, hold } = useLines();
  const [kind, setKind] = useState('');
  const [text, setText] = useState('');
  const earlier = useEarlier();
  const navigate = useNavigate();
  const wanted = text.trim().toLowerCase();
  const shown = [...lines, ...earlier]
    .slice(0, LINES)
    .filter((line) => (kind === '' || line.kind === kind) && (wanted === '' || line.text.toLowerCase().includes(wanted)));

  // One listener for all lines: a link component for each of 500 is too much for a burst.
  function follow(event: MouseEvent<HTMLElement>): void {
    const job = (event.target as HTMLElement).closest<HTMLElement>('[data-job]')?.dataset.job;
    if (job === undefined || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    void navigate({ to: '/jobs/$id', params: { id: job } });
  }

  return (
    <Panel
      title="Live feed"
      aside={
        <>
          {held > 0 && <span className="dim feed-held">{held === LINES ? `${held} or more` : held} new, held while you read</span>}
          <NativeSelect
            size="xs"
            aria-label="Kind of message"
            value={kind}
            onChange={({ currentTarget }) => setKind(currentTarget.value)}
            data={[{ value: '', label: 'all kinds' }, ...KINDS]}
          />
          <TextInput
            size="xs"
            aria-label="Text in the message"
            placeholder="text"
            value={text}
            onChange={({ currentTarget }) => setText(currentTarget.value)}
            w={140}
          />
        </>
      }
    >
      {/* biome-ignore lint/a11y/useKeyWithClickEvents: the links in it hear the keys */}
      <div
        className="feed"
        role="log"
        aria-live="off"
        aria-label="Live feed"
        tabIndex={0}
        onMouseEnter={() => hold(true)}
        onMouseLeave={() => hold(false)}
        onFocus={() => hold(true)}
        onBlur={() => hold(false)}
        onClick={follow}
      >
        {shown.length > 0 ? (
          shown.map((line) => <Row key={line.key} line={line} />)
        ) : lines.length + earlier.length > 0 ? (
          <p className="feed-empty">No message matches. Remove the kind or the text.</p>
        ) : (
          <Nothing />
        )}
      </div>
    </Panel>
  );
}

function useEarlier(): readonly Line[] {
  const { data } = useEndedJobs();
  return useMemo(() => data?.jobs.flatMap(lineOfJob) ?? [], [data]);
}

const MARKS = { good: '✓', bad: '✕', warn: '▲', busy: '▶', calm: '·' };

const Row = memo(({ line: { at, kind, tone, text, job } }: { line: Line }) => (
  <div className="feed-line" title={text}>
    <span className="dim">{clock(at)}</span>
    <span className="dim">{kind}</span>
    <span data-tone={tone} aria-hidden="true">
      {MARKS[tone]}
    </span>
    {job === undefined ? (
      <span className="feed-text">{text}</span>
    ) : (
      <a className="feed-text" href={`/ui/jobs/${job}`} data-job={job}>
        {text}
      </a>
    )}
  </div>
));

function Nothing() {
  return (
    <div className="feed-empty">
      <p className="empty-title">Nothing has happened yet</p>
      <p>Each job that is asked for, starts and ends, each new price and each instance that comes or goes is a line here.</p>
      <p>
        <Link to="/portfolios">Sign a user in</Link> or <Link to="/jobs">ask for a job</Link>, and watch. In a terminal the same is{' '}
        <code>npx stockmesh watch</code>.
      </p>
    </div>
  );
}
