import { useEffect, useState } from 'react';

/** For a dialog that is drawn only while it is open: when it goes, the focus is where it was before. */
export function useFocusBack(): void {
  const [before] = useState(() => document.activeElement);
  useEffect(
    () => () => {
      // After the dialog has let the focus go.
      setTimeout(() => before instanceof HTMLElement && before.isConnected && before !== document.body && before.focus());
    },
    [before],
  );
}
