// Messages within a page: errors, remarks, and that something is empty.
import type { ComponentChildren } from "preact";

type Kind = "error" | "warning" | "remark";

export const Notice = ({ kind, children }: { kind: Kind; children: ComponentChildren }) => (
  <div class={`notice notice-${kind}`} role={kind === "error" ? "alert" : "status"}>
    {children}
  </div>
);

export const ErrorNotice = ({ error }: { error: Error | undefined }) =>
  error ? <Notice kind="error">{error.message}</Notice> : null;

/** Shown until something else can be. */
export const Loading = () => (
  <p class="loading" role="status">
    Loading …
  </p>
);
