// What the Billing page shows, as its URL has it.
import { query } from "../../address";

export interface View {
  prefix: string | null;
  sender: string;
  /** Such as `2026-11`. */
  month: string;
  /** Whether traffic between own networks counts. */
  local: boolean;
  tz: string;
}

export function readView(parameters: URLSearchParams, now = new Date()): View {
  const month = parameters.get("month") ?? "";
  return {
    prefix: parameters.get("prefix"),
    sender: parameters.get("sender") ?? "all",
    month: /^\d{4}-\d{2}$/.test(month) ? month : now.toISOString().slice(0, 7),
    local: parameters.get("local") !== "exclude",
    tz: parameters.get("tz") ?? "UTC",
  };
}

const parametersOf = (view: View) => ({
  prefix: view.prefix,
  month: view.month,
  local: view.local ? null : "exclude",
  tz: view.tz === "UTC" ? null : view.tz,
});

export const billingUrl = (view: View): string =>
  `/web/billing${query({ sender: view.sender === "all" ? null : view.sender, ...parametersOf(view) })}`;

const isSeveral = (sender: string): boolean => sender === "all" || /^tag:|,/.test(sender);

export const billingPath = (view: View): string =>
  isSeveral(view.sender)
    ? `/billing${query({ sender: view.sender, ...parametersOf(view) })}`
    : `/billing/${view.sender}${query(parametersOf(view))}`;

/** The hourly counters of the time of a bill. */
export function seriesPath(view: View, from: string, to: string): string {
  const minute = (time: string) => `${new Date(time).toISOString().slice(0, 16)}Z`;
  const several = isSeveral(view.sender);
  return `/series${several ? "" : `/${view.sender}`}${query({
    sender: several ? view.sender : null,
    prefix: view.prefix,
    step: "hour",
    from: minute(from),
    to: minute(to),
  })}`;
}
