import { useHotkeys } from '@mantine/hooks';
import { lazy, Suspense } from 'react';
import { useDialog } from './dialog.ts';

const FinderDialog = lazy(() => import('./finder-list.tsx'));

/** ctrl-K or `/`: a symbol, a user or a job, by the begin of its name. */
export function Finder() {
  const { isOpen, open, close } = useDialog();
  // The list of jobs has a search of its own.
  const search = (): void => {
    if (!location.pathname.endsWith('/jobs')) open();
  };
  // Some keyboards have the slash above the 7.
  useHotkeys([
    ['mod+K', open],
    ['/', search],
    ['shift+/', search],
  ]);
  return (
    <>
      <button type="button" className="finder" onClick={open} aria-haspopup="dialog">
        Find a symbol, user or job <kbd>Ctrl K</kbd>
      </button>
      <Suspense>{isOpen && <FinderDialog close={close} />}</Suspense>
    </>
  );
}
