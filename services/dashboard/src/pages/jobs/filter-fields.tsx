import { Button, NativeSelect, TextInput } from '@mantine/core';
import { useDebouncedCallback } from '@mantine/hooks';
import { useEffect, useRef, useState } from 'react';
import { LIVE, QUEUES, SORTS, type Sort, TYPES } from './filters.ts';

interface FieldsProps {
  /** Whose jobs can be seen; undefined: of all users. */
  ownUsers: readonly string[] | undefined;
  search: Record<string, string | undefined>;
  sort: Sort;
  isGrouped: boolean;
  change: (changes: Record<string, string | undefined>) => void;
}

const any = (name: string, values: readonly string[]) => [
  { value: '', label: name },
  ...values.map((value) => ({ value, label: value.replaceAll('_', ' ') })),
];

const FILTERS = ['state', 'type', 'queue', 'symbol', 'user', 'worker', 'code', 'reason', 'min_age', 'max_age'];

export function FilterFields({ ownUsers, search, sort, isGrouped, change }: FieldsProps) {
  const hasFilter = FILTERS.some((name) => search[name]);
  const states = search.state?.split(',') ?? [];
  const isLive = states.length > 0 && states.every((state) => LIVE.includes(state as never));
  const isEnded = states.length > 0 && !states.some((state) => LIVE.includes(state as never));
  const sorts = (Object.keys(SORTS) as Sort[]).filter((name) => (name !== 'urgent' || isLive) && (name !== 'ended' || isEnded));
  return (
    <div className="fields" role="search">
      <TextField name="reason" label="Text of the reason" search={search} change={change} width={150} />
      <NativeSelect
        size="xs"
        aria-label="Type"
        value={search.type ?? ''}
        onChange={({ currentTarget }) => change({ type: currentTarget.value || undefined })}
        data={any('any type', TYPES)}
      />
      <NativeSelect
        size="xs"
        aria-label="Queue"
        value={search.queue ?? ''}
        onChange={({ currentTarget }) => change({ queue: currentTarget.value || undefined })}
        data={any('any queue', QUEUES)}
      />
      <TextField name="symbol" label="Symbol" search={search} change={change} width={90} />
      {ownUsers === undefined ? (
        <TextField name="user" label="User" search={search} change={change} width={90} />
      ) : (
        ownUsers.length > 1 && (
          <NativeSelect
            size="xs"
            aria-label="User"
            value={search.user ?? ownUsers[0] ?? ''}
            onChange={({ currentTarget }) => change({ user: currentTarget.value })}
            data={[...ownUsers]}
          />
        )
      )}
      <TextField name="code" label="Code" search={search} change={change} width={110} />
      <AgeSelect search={search} change={change} />
      <NativeSelect
        size="xs"
        aria-label="Order"
        value={isGrouped ? 'code' : sort}
        onChange={({ currentTarget: { value } }) => change(value === 'code' ? { group: 'code' } : { sort: value, group: undefined })}
        data={[...sorts.map((value) => ({ value, label: SORTS[value] })), { value: 'code', label: 'grouped by code' }]}
      />
      {search.worker && (
        <button type="button" className="chip" onClick={() => change({ worker: undefined })}>
          worker {search.worker} ✕
        </button>
      )}
      <Button
        size="xs"
        variant="subtle"
        disabled={!hasFilter}
        onClick={() => change(Object.fromEntries(FILTERS.map((name) => [name, undefined])))}
      >
        Clear
      </Button>
    </div>
  );
}

const HOUR = 3_600;
const AGES: Record<string, string> = {
  '': 'asked at any time',
  [`max_age=${HOUR / 4}`]: 'within 15 min',
  [`max_age=${HOUR}`]: 'within an hour',
  [`max_age=${24 * HOUR}`]: 'within a day',
  [`min_age=${HOUR / 4}`]: 'over 15 min ago',
  [`min_age=${HOUR}`]: 'over an hour ago',
  [`min_age=${24 * HOUR}`]: 'over a day ago',
};

/** Relative to now, in a link too. An address may say any other age. */
function AgeSelect({ search: { min_age, max_age }, change }: Pick<FieldsProps, 'search' | 'change'>) {
  const value = [max_age && `max_age=${max_age}`, min_age && `min_age=${min_age}`].filter(Boolean).join('&');
  const other = value in AGES ? {} : { [value]: `${max_age ? `within ${max_age} s ` : ''}${min_age ? `over ${min_age} s ago` : ''}` };
  return (
    <NativeSelect
      size="xs"
      aria-label="Age"
      value={value}
      onChange={({ currentTarget }) =>
        change({ min_age: undefined, max_age: undefined, ...Object.fromEntries(new URLSearchParams(currentTarget.value)) })
      }
      data={Object.entries({ ...AGES, ...other }).map(([key, label]) => ({ value: key, label }))}
    />
  );
}

interface TextFieldProps {
  name: string;
  label: string;
  search: Record<string, string | undefined>;
  change: (changes: Record<string, string | undefined>) => void;
  width: number;
}

/** The address changes when the typing pauses; another address changes the field. */
function TextField({ name, label, search, change, width }: TextFieldProps) {
  const said = search[name] ?? '';
  const [text, setText] = useState(said);
  const written = useRef(said);
  const write = useDebouncedCallback((value: string) => {
    written.current = value.trim();
    change({ [name]: written.current || undefined });
  }, 300);
  // Not what this field itself has written: it may hold a letter more by now.
  useEffect(() => {
    if (said === written.current) return;
    written.current = said;
    setText(said);
  }, [said]);
  return (
    <TextInput
      size="xs"
      aria-label={label}
      placeholder={label.toLowerCase()}
      w={width}
      value={text}
      onChange={({ currentTarget: { value } }) => {
        setText(value);
        write(value);
      }}
    />
  );
}
