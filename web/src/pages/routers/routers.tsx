// The Routers page: all registered routers, and those that send without being registered.
import { useState } from "preact/hooks";
import { visit } from "../../address";
import { mayWrite } from "../../api/session";
import { Elsewhere } from "../../parts/elsewhere";
import { FindingNotice } from "../../parts/finding";
import { ErrorNotice, Loading } from "../../parts/notice";
import { useLive } from "../now/live";
import { Strangers } from "../now/now";
import { Register } from "./register";
import { RouterTable } from "./router-table";

export function RoutersPage() {
  const live = useLive();
  const [adding, setAdding] = useState(false);
  return (
    <>
      <div class="heading">
        <h1>Routers</h1>
        {mayWrite() && (
          <button type="button" class="primary" onClick={() => setAdding(true)}>
            Register a router
          </button>
        )}
      </div>
      <ErrorNotice error={live.error} />
      {live.value ? (
        <>
          <Strangers unknown={live.value.unknown} />
          <RouterTable routers={live.value.routers} />
          <section aria-label="Findings">
            <h2>Findings</h2>
            {live.value.findings.length === 0 && <p class="soft">doctor finds nothing.</p>}
            {live.value.findings.map((finding) => (
              <FindingNotice key={`${finding.finding} ${finding.router}`} finding={finding} linked />
            ))}
          </section>
          <Elsewhere
            same={[
              { request: "/exporters", command: "netflow curl GET /exporters" },
              { request: "/senders", command: "netflow senders" },
              { request: "/unknown", command: "netflow doctor" },
            ]}
          />
        </>
      ) : (
        !live.error && <Loading />
      )}
      {adding && (
        <Register address="" prefixes={[]} onClose={() => setAdding(false)} onDone={() => visit("/web/routers")} />
      )}
    </>
  );
}
