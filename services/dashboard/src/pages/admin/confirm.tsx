import { Button, Modal } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { type ReactNode, useState } from 'react';
import { lacks, may, type Right, useMe } from '../../data/session.ts';
import { Failure } from '../../parts/states.tsx';

interface ConfirmProps<T> {
  /** Of the button, and of the one that confirms. */
  name: string;
  /** What it changes: heard behind the name of the button. */
  about: string;
  title: string;
  /** What will happen. */
  children: ReactNode;
  right: Right;
  run: () => Promise<T>;
  /** What came of it, in the place of the question. Without it the dialog closes. */
  result?: (answer: T) => ReactNode;
  /** Why the button is disabled, beside a lack of rights. */
  why?: string | undefined;
}

/** A button that says what it will do before it does it. */
export function Confirm<T>({ name, about, title, children, right, run, result, why }: ConfirmProps<T>) {
  const { data: me } = useMe();
  const [isOpen, setOpen] = useState(false);
  const change = useMutation({
    mutationFn: run,
    onSuccess: () => {
      if (result === undefined) setOpen(false);
    },
  });
  const reason = may(me, right) ? why : lacks(right);
  const open = () => {
    change.reset();
    setOpen(true);
  };
  return (
    <>
      <Button size="xs" variant="default" disabled={reason !== undefined} title={reason} onClick={open} aria-label={`${name} … ${about}`}>
        {name} …
      </Button>
      <Modal opened={isOpen} onClose={() => setOpen(false)} title={title} closeButtonProps={{ 'aria-label': 'Close' }}>
        {change.data !== undefined && result !== undefined ? (
          <>
            <div role="status">{result(change.data)}</div>
            <div className="actions">
              <Button onClick={() => setOpen(false)}>Close</Button>
            </div>
          </>
        ) : (
          <>
            {children}
            {change.error && <Failure error={change.error} />}
            <div className="actions">
              <Button variant="default" onClick={() => setOpen(false)}>
                Leave it
              </Button>
              <Button loading={change.isPending} onClick={() => change.mutate()}>
                {name}
              </Button>
            </div>
          </>
        )}
      </Modal>
    </>
  );
}
