import { useRef, useState } from 'react';

/** A dialog that is loaded when it is opened. Mantine gives the focus back only to one that was there before: this does it. */
export function useDialog() {
  const [isOpen, setOpen] = useState(false);
  const before = useRef<Element | null>(null);
  return {
    isOpen,
    open(): void {
      if (isOpen) return;
      before.current = document.activeElement;
      setOpen(true);
    },
    close(): void {
      setOpen(false);
      const element = before.current;
      if (element instanceof HTMLElement) requestAnimationFrame(() => element.focus());
    },
  };
}
