/** The last values as a small line; the number beside it is the text. */
export function Sparkline({ values }: { values: readonly (number | null)[] }) {
  const [width, height] = [68, 20];
  const most = Math.max(1, ...values.map((value) => value ?? 0));
  const step = width / Math.max(1, values.length - 1);
  let isDrawing = false;
  const path = values
    .map((value, index) => {
      if (value === null) {
        isDrawing = false;
        return '';
      }
      const point = `${isDrawing ? 'L' : 'M'}${(index * step).toFixed(1)} ${(height - 1 - (value / most) * (height - 2)).toFixed(1)}`;
      isDrawing = true;
      return point;
    })
    .join('');
  return (
    <svg className="spark" width={width} height={height} aria-hidden="true">
      <path d={path} fill="none" stroke="var(--chart-1)" strokeWidth="1.5" />
    </svg>
  );
}
