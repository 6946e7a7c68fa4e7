import { type KeyboardEvent, useMemo, useRef, useState } from 'react';
import { exact } from '../../format/numbers.ts';
import { dayText } from './dataset.ts';
import type { Day } from './queries.ts';
import { DAY_STATES } from './states.ts';

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'] as const;
const two = (value: number): string => String(value).padStart(2, '0');

interface CalendarProps {
  name: string;
  year: number;
  days: readonly Day[];
  choose: (date: string) => void;
}

/** A year: a row a month, a column a day. One day takes the focus by tab, the arrows move it. */
export function Calendar({ name, year, days, choose }: CalendarProps) {
  const byDate = useMemo(() => new Map(days.map((day) => [day.date, day])), [days]);
  const [at, setAt] = useState<string>();
  const table = useRef<HTMLTableElement>(null);
  // The day of the focus, or the last one of another year.
  const focused = at !== undefined && byDate.has(at) ? at : days.at(-1)?.date;

  function move(event: KeyboardEvent): void {
    const next = focused === undefined ? undefined : moved(focused, event.key);
    if (next === undefined || !byDate.has(next)) return;
    event.preventDefault();
    setAt(next);
    table.current?.querySelector<HTMLElement>(`[data-date="${next}"]`)?.focus();
  }

  return (
    <div className="table-box" tabIndex={0} role="group" aria-label={name}>
      <table ref={table} className="calendar" onKeyDown={move}>
        <caption className="hidden">{name}. The arrow keys move from day to day, Enter shows a day.</caption>
        <thead>
          <tr>
            <td />
            {Array.from({ length: 31 }, (_, day) => (
              // biome-ignore lint/suspicious/noArrayIndexKey: the index is the day
              <th key={day} scope="col">
                {day + 1}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {MONTHS.map((month, index) => (
            <tr key={month}>
              <th scope="row">{month}</th>
              {Array.from({ length: 31 }, (_, day) => {
                const date = `${year}-${two(index + 1)}-${two(day + 1)}`;
                const found = byDate.get(date);
                return (
                  <td key={date}>
                    {found && <DayCell day={found} isFocused={date === focused} choose={choose} focus={() => setAt(date)} />}
                  </td>
                );
              })}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

interface CellProps {
  day: Day;
  isFocused: boolean;
  choose: (date: string) => void;
  focus: () => void;
}

function DayCell({ day: { date, state, rows }, isFocused, choose, focus }: CellProps) {
  const { letter, word } = DAY_STATES[state];
  const text = `${dayText(date)}: ${word}${rows === null ? '' : `, ${exact(rows)} rows`}`;
  return (
    <button
      type="button"
      className="day"
      data-state={state}
      data-date={date}
      aria-label={text}
      title={text}
      tabIndex={isFocused ? 0 : -1}
      onFocus={focus}
      onClick={() => choose(date)}
    >
      {letter}
    </button>
  );
}

/** The day that a key leads to; undefined for other keys. */
function moved(date: string, key: string): string | undefined {
  const [year, month, day] = date.split('-').map(Number) as [number, number, number];
  const to = (y: number, m: number, d: number): string => new Date(Date.UTC(y, m, d)).toISOString().slice(0, 10);
  const last = (m: number): number => new Date(Date.UTC(year, m + 1, 0)).getUTCDate();
  switch (key) {
    case 'ArrowLeft':
      return to(year, month - 1, day - 1);
    case 'ArrowRight':
      return to(year, month - 1, day + 1);
    case 'ArrowUp':
      return to(year, month - 2, Math.min(day, last(month - 2)));
    case 'ArrowDown':
      return to(year, month, Math.min(day, last(month)));
    case 'Home':
      return to(year, month - 1, 1);
    case 'End':
      return to(year, month - 1, last(month - 1));
    default:
      return undefined;
  }
}
