import { NativeSelect, TextInput } from '@mantine/core';
import { useRef, useState } from 'react';
import type { LiveEvent } from '../../data/events.ts';
import { useEvents } from '../../data/stream.ts';
import { moment } from '../../format/times.ts';
import { Panel } from '../../parts/panel.tsx';

const LINES = 500;

interface Line {
  key: number;
  at: number;
  type: LiveEvent['type'];
  text: string;
}

/** What `mosquitto_sub` would show, as sentences. It holds still under the pointer or with the focus in it. */
export function Feed() {
  const [lines, setLines] = useState<readonly Line[]>([]);
  const [type, setType] = useState('');
  const [text, setText] = useState('');
  const held = useRef<Line[]>([]);
  const isHeld = useRef(false);
  const next = useRef(0);

  useEvents((events, dropped) => {
    const fresh = events
      .filter(({ type: kind }) => kind !== 'stats')
      .map((event): Line => ({ key: next.current++, at: event.received, type: event.type, text: sentence(event) }));
    if (dropped > 0) fresh.push({ key: next.current++, at: Date.now(), type: 'job', text: `… and ${dropped} more, too many to show` });
    held.current = [...fresh.reverse(), ...held.current].slice(0, LINES);
    if (!isHeld.current) show();
  });
  function show(): void {
    if (held.current.length === 0) return;
    const fresh = held.current;
    held.current = [];
    setLines((before) => [...fresh, ...before].slice(0, LINES));
  }
  function hold(on: boolean): void {
    isHeld.current = on;
    if (!on) show();
  }

  const wanted = text.trim().toLowerCase();
  const shown = lines.filter((line) => (type === '' || line.type === type) && (wanted === '' || line.text.toLowerCase().includes(wanted)));
  return (
    <Panel
      title="Live feed"
      aside={
        <>
          <NativeSelect
            size="xs"
            aria-label="Kind of message"
            value={type}
            onChange={({ currentTarget }) => setType(currentTarget.value)}
            data={[{ value: '', label: 'all kinds' }, 'job', 'status', 'data', 'portfolio', 'presence', 'alert']}
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
      >
        {shown.length === 0 ? (
          <span className="dim">{lines.length === 0 ? 'Messages appear here as they happen.' : 'No message matches.'}</span>
        ) : (
          shown.map((line) => (
            <div key={line.key} className="feed-line" title={line.text}>
              <span className="dim">{moment(line.at)}</span> <span className="feed-topic">{line.type.padEnd(9)}</span> {line.text}
            </div>
          ))
        )}
      </div>
    </Panel>
  );
}

function sentence(event: LiveEvent): string {
  switch (event.type) {
    case 'job':
      return `${event.body.type} ${event.body.symbol ?? ''} asked for, priority ${event.body.priority}: ${event.body.why.text}`;
    case 'status': {
      const { type, symbol, state, worker, reason } = event.body;
      return `${type} ${symbol ?? ''} ${state.replaceAll('_', ' ')}${worker === undefined ? '' : ` on ${worker}`}${reason === undefined ? '' : `: ${reason}`}`;
    }
    case 'data':
      return `${event.body.symbol} ${event.body.kind} from ${event.body.source}${event.body.rows === undefined ? '' : `, ${event.body.rows} rows`}`;
    case 'portfolio':
      return event.body.text;
    case 'presence':
      return `${event.body.service} ${event.body.instance} is ${event.body.state}`;
    case 'alert':
      return `${event.body.state}: ${event.body.text}`;
    case 'stats':
      return '';
  }
}
