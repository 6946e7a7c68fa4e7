import { Button, Checkbox, Modal, NativeSelect, NumberInput, Stack, TextInput } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { type FormEvent, useState } from 'react';
import { answer, api, queries, type Schemas } from '../../data/client.ts';
import { Failure, Loaded } from '../../parts/states.tsx';

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

/** Asks for a job, with a form made of the schema of its body. */
export default function NewJob({ close }: { close: () => void }) {
  const query = useQuery({
    queryKey: ['job-types'],
    staleTime: Number.POSITIVE_INFINITY,
    queryFn: ({ signal }) => answer(api.GET('/v1/job-types', { signal })),
  });
  return (
    <Modal opened onClose={close} title="New job" closeButtonProps={{ 'aria-label': 'Close' }}>
      <Loaded query={query}>{({ types }) => <Form types={types.filter(({ body }) => body !== null)} />}</Loaded>
    </Modal>
  );
}

function Form({ types }: { types: readonly JobType[] }) {
  const [name, setName] = useState(types[0]?.name ?? '');
  const [values, setValues] = useState<Record<string, unknown>>({});
  const [error, setError] = useState<Error>();
  const [made, setMade] = useState<Schemas['AcceptedJob']>();
  const [isBusy, setBusy] = useState(false);
  const type = types.find((one) => one.name === name);
  const { properties = {}, required = [] } = (type?.body ?? {}) as { properties?: Record<string, Field>; required?: string[] };

  async function submit(event: FormEvent): Promise<void> {
    event.preventDefault();
    setBusy(true);
    setError(undefined);
    try {
      const { jobs } = await answer(api.POST('/v1/jobs', { body: { type: name, ...filled(values, properties) } as never }));
      setMade(jobs[0]);
      void queries.invalidateQueries({ queryKey: ['jobs'] });
    } catch (reason) {
      setError(reason as Error);
    }
    setBusy(false);
  }

  return (
    <form onSubmit={submit}>
      <Stack gap="sm">
        <NativeSelect
          label="Type"
          description={type?.about}
          value={name}
          onChange={({ currentTarget }) => setName(currentTarget.value)}
          data={types.map((one) => one.name)}
        />
        {Object.entries(properties)
          .filter(([, field]) => field.const === undefined)
          .map(([key, field]) => (
            <FieldInput
              key={key}
              name={key}
              field={field}
              isRequired={required.includes(key)}
              value={values[key]}
              set={(value) => setValues({ ...values, [key]: value })}
            />
          ))}
        {error && <Failure error={error} />}
        {made && (
          <p role="status">
            {made.outcome === 'joined' ? 'The same work was asked for before: ' : 'Queued: '}
            <Link to="/jobs/$id" params={{ id: made.id }}>
              {made.id}
            </Link>
          </p>
        )}
        <Button type="submit" loading={isBusy}>
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

function FieldInput({ name, field, isRequired, value, set }: FieldProps) {
  const common = { label: name.replaceAll('_', ' '), description: field.description, required: isRequired };
  if (field.type === 'boolean')
    return (
      <Checkbox {...common} checked={(value ?? field.default) === true} onChange={({ currentTarget }) => set(currentTarget.checked)} />
    );
  if (field.enum)
    return (
      <NativeSelect
        {...common}
        value={String(value ?? field.default ?? '')}
        data={field.enum}
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
  const list = field.type === 'array' ? 'separated by spaces' : field.description;
  return (
    <TextInput
      {...common}
      description={list}
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
