import { Copy } from '../../parts/words.tsx';

/** A secret that is shown this once. */
export function Secret({ name, text }: { name: string; text: string }) {
  return (
    <div className="secret">
      <span>{name}</span>
      <code>{text}</code>
      <Copy text={text} name={name.toLowerCase()} />
    </div>
  );
}
