//! The web interface of a running collector: the link that logs in, and what the page gets.

use serde_json::Value;

use crate::commands::{counted, run};

#[test]
fn a_link_logs_in_once_and_the_page_gets_events_and_findings() {
    let collector = counted();
    let url = format!("http://{}", collector.serving);
    let link = run(&collector, &["web", "--url", &url]);
    let ticket = link.trim_end().strip_prefix(&format!("{url}/web/now#ticket=")).unwrap().to_owned();
    let login = format!(
        "curl -sS -i -H 'X-Netflow: 1' -H 'Origin: http://127.0.0.1:8080' -d '{{\"ticket\":\"{ticket}\"}}' \
         http://127.0.0.1:8080/session"
    );
    let answer = collector.shell(&login);
    let (_, cookie) = answer.split_once("set-cookie: ").unwrap_or_else(|| panic!("{answer}"));
    let cookie = cookie.split(';').next().unwrap();
    let get = |path: &str| collector.shell(&format!("curl -sS -H 'Cookie: {cookie}' http://127.0.0.1:8080{path}"));
    assert!(get("/session").contains(r#""role":"admin""#));
    assert!(collector.shell(&login).contains("401 Unauthorized"), "a link is used once");

    let found: Value = serde_json::from_str(&get("/doctor")).unwrap();
    let by_command: Value = serde_json::from_str(&collector.command(&["doctor", "--json"]).0).unwrap();
    let names = |findings: &Value| -> Vec<(Value, Value)> {
        findings.as_array().unwrap().iter().map(|one| (one["finding"].clone(), one["router"].clone())).collect()
    };
    assert_eq!(names(&found["findings"]), names(&by_command["findings"]));
    let event = get("/events -N --max-time 3 || true");
    let data = event.lines().find_map(|line| line.strip_prefix("data: ")).unwrap_or_else(|| panic!("{event}"));
    let event: Value = serde_json::from_str(data).unwrap();
    assert_eq!(names(&event["findings"]), names(&found["findings"]));
    assert_eq!(event["senders"][0]["address"], "127.0.0.1");
    collector.terminate();
}
