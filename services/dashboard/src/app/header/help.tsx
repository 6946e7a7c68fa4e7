import { useHotkeys } from '@mantine/hooks';
import { lazy, Suspense } from 'react';
import { useDialog } from './dialog.ts';

const HelpDialog = lazy(() => import('./help-dialog.tsx'));

/** `?`: the keys, and what the marks mean. */
export function Help() {
  const { isOpen, open, close } = useDialog();
  useHotkeys([
    ['?', open],
    ['shift+?', open],
  ]);
  return (
    <>
      <button type="button" className="help" onClick={open} aria-haspopup="dialog" aria-label="Help: keys and marks" title="Help (?)">
        ?
      </button>
      <Suspense>{isOpen && <HelpDialog close={close} />}</Suspense>
    </>
  );
}
