// Placeholder frame of the review pages.
import type { PageConfig } from "../wire/front";
export function OfficerApp({ config }: { config: PageConfig }) {
  return <p>{config.firm_name}</p>;
}
