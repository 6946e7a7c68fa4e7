import { Button, NativeSelect, TextInput } from '@mantine/core';
import { useDebouncedCallback, useHotkeys } from '@mantine/hooks';
import { useEffect, useRef, useState } from 'react';
import { LIVE, QUEUES, SORTS, type Sort, TYPES } from './filters.ts';

interface FieldsProps {
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

export function FilterFields({ search, sort, isGrouped, change }: FieldsProps) {
  const first = useRef<HTMLInputElement>(null);
  useHotkeys([['/', () => first.current?.focus()]]);
  const hasFilter = FILTERS.some((name) => search[name]);
  const states = search.state?.split(',') ?? [];
  const isLive = states.length > 0 && states.every((state) => LIVE.includes(state as never));
  const isEnded = states.length > 0 && !states.some((state) => LIVE.includes(state as never));
  const sorts = (Object.keys(SORTS) as Sort[]).filter((name) => (name !== 'urgent' || isLive) && (name !== 'ended' || isEnded));
  return (
    <div className="fields" role="search">
      <TextField ref={first} name="reason" label="Text of the reason ( / )" search={search} change={change} width={180} />
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
      <TextField name="user" label="User" search={search} change={change} width={90} />
      <TextField name="code" label="Code" search={search} change={change} width={110} />
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

interface TextFieldProps {
  name: string;
  label: string;
  search: Record<string, string | undefined>;
  change: (changes: Record<string, string | undefined>) => void;
  width: number;
  ref?: React.Ref<HTMLInputElement>;
}

/** The address changes when the typing pauses; another address changes the field. */
function TextField({ name, label, search, change, width, ref }: TextFieldProps) {
  const [text, setText] = useState(search[name] ?? '');
  const write = useDebouncedCallback((value: string) => change({ [name]: value.trim() || undefined }), 300);
  useEffect(() => setText(search[name] ?? ''), [search, name]);
  return (
    <TextInput
      size="xs"
      ref={ref ?? null}
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
