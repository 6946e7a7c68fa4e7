/** A form for the body of a job, made of the schema of its type. */
import { Button, Checkbox, NativeSelect, NumberInput, Stack, TextInput } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { type FormEvent, useState } from 'react';
import { answer, api, queries, type Schemas } from '../../data/client.ts';
import { lacks, may, useMe } from '../../data/session.ts';
import { Failure } from '../states.tsx';

type JobType = Schemas['JobType'];
interface Field {
  type?: string;
  const?: string;
  enum?: string[];
  description?: string;
  default?: unknown;
  items?: { type?: string };
  format?: string;
  minimum?: number;
  maximum?: number;
}

/** Fields that few need stand behind the others, folded. */
const RARE = ['priority', 'callback_url'];

/** `without`: fields that are not offered. */
export function JobForm({ type: { name, body }, without = [] }: { type: JobType; without?: readonly string[] }) {
  const { data: me } = useMe();
  const [values, setValues] = useState<Record<string, unknown>>({});
  const { properties = {}, required = [] } = (body ?? {}) as { properties?: Record<string, Field>; required?: string[] };
  const ask = useMutation({
    mutationFn: () => answer(api.POST('/v1/jobs', { body: { type: name, ...filled(values, properties) } as never })),
    onSettled: () => queries.invalidateQueries({ queryKey: ['jobs'] }),
  });
  const inputs = (isRare: boolean) =>
    Object.entries(properties)
      .filter(([key, field]) => field.const === undefined && !without.includes(key) && RARE.includes(key) === isRare)
      .map(([key, field]) => (
        <FieldInput
          key={key}
          name={key}
          field={field}
          isRequired={required.includes(key)}
          value={values[key]}
          set={(value) => setValues({ ...values, [key]: value })}
        />
      ));
  const mayAsk = may(me, 'jobs');
  return (
    <form
      onSubmit={(event: FormEvent) => {
        event.preventDefault();
        ask.mutate();
      }}
    >
      <Stack gap="sm">
        {inputs(false)}
        <details>
          <summary>More</summary>
          <Stack gap="sm" mt="sm">
            {inputs(true)}
          </Stack>
        </details>
        {ask.error && <Failure error={ask.error} />}
        {ask.data?.jobs.map(({ id, outcome, type, symbol }) => (
          <p role="status" key={id}>
            {outcome === 'joined' ? 'The same work is under way: ' : 'Queued: '}
            <Link to="/jobs/$id" params={{ id }}>
              {type} {symbol}
            </Link>
          </p>
        ))}
        <Button type="submit" loading={ask.isPending} disabled={!mayAsk} title={mayAsk ? undefined : lacks('jobs')}>
          Ask for it
        </Button>
      </Stack>
    </form>
  );
}

interface FieldProps {
  name: string;
  field: Field;
  isRequired: boolean;
  value: unknown;
  set: (value: unknown) => void;
}

const labelOf = (name: string): string => `${name[0]?.toUpperCase()}${name.slice(1).replaceAll('_', ' ')}`;

function FieldInput({ name, field, isRequired, value, set }: FieldProps) {
  const common = { label: labelOf(name), description: field.description, required: isRequired };
  if (field.type === 'boolean')
    return (
      <Checkbox {...common} checked={(value ?? field.default) === true} onChange={({ currentTarget }) => set(currentTarget.checked)} />
    );
  if (field.enum)
    return (
      <NativeSelect
        {...common}
        value={String(value ?? field.default ?? '')}
        data={field.default === undefined ? [{ value: '', label: 'choose' }, ...field.enum] : field.enum}
        onChange={({ currentTarget }) => set(currentTarget.value)}
      />
    );
  if (field.type === 'integer' || field.type === 'number')
    return (
      <NumberInput
        {...common}
        value={(value as number | undefined) ?? ''}
        min={field.minimum}
        max={field.maximum}
        onChange={(number) => set(number === '' ? undefined : number)}
      />
    );
  const list = [field.description, field.type === 'array' && 'Several, separated by spaces.'].filter(Boolean).join(' ');
  return (
    <TextInput
      {...common}
      description={list || undefined}
      type={field.format === 'date' ? 'date' : 'text'}
      value={String(value ?? '')}
      onChange={({ currentTarget }) => set(currentTarget.value)}
    />
  );
}

/** The fields that were filled in, as their types want them. */
function filled(values: Record<string, unknown>, properties: Record<string, Field>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(values).flatMap(([name, value]) => {
      const field = properties[name];
      if (field === undefined || value === undefined || value === '') return [];
      if (field.type === 'array')
        return [
          [
            name,
            String(value)
              .split(/[\s,]+/)
              .filter(Boolean),
          ],
        ];
      return [[name, value]];
    }),
  );
}
