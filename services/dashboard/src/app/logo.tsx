export function Logo() {
  return (
    <span className="logo">
      <img src="/ui/icon.svg" alt="" width={22} height={22} />
      stockmesh
    </span>
  );
}
