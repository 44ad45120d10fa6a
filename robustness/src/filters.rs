//! Filters of flows, which a client writes.

use std::net::IpAddr;

use columns::{Batch, Id, Row};
use filter::{Bounds, Filter, Known, LONGEST_BYTES};

/// A filter of a query.
pub fn filter(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    match text.parse::<Filter>() {
        Ok(filter) => {
            assert!(text.len() <= LONGEST_BYTES, "{} octets were read", text.len());
            let shown = filter.to_string();
            // In columns it may be longer or nested deeper than in words.
            if let Ok(read) = shown.parse::<Filter>() {
                assert_eq!(read, filter, "{text}: {shown}");
            }
            holds_everywhere(&filter);
        }
        Err(error) => {
            let columns = text.chars().count() + 1;
            assert!((1..=columns).contains(&error.column), "{text}: {error}");
            assert!(!error.message.is_empty(), "{text}");
            assert!(error.pointer(text).ends_with('^'), "{text}");
        }
    }
}

/// What holds for a row holds for a batch of it.
fn holds_everywhere(filter: &Filter) {
    let mut row = Row::new();
    row.set(Id::Bytes, 1000);
    row.set(Id::SrcPort, 53);
    row.set_address(Id::SrcIp, [192, 0, 2, 1].into());
    let mut batch = Batch::new();
    batch.push(&row);
    batch.fill();
    let passes = filter.passes(&row);
    assert_eq!(filter.select(&batch).count() == 1, passes, "{filter}");
    assert_eq!(filter.given(&Nothing).is_some_and(|left| left.passes(&row)), passes, "{filter}");
}

/// Nothing is known of the rows.
struct Nothing;

impl Known for Nothing {
    fn bounds(&self, _: Id) -> Bounds {
        Bounds::Unknown
    }

    fn may_contain(&self, _: Id, _: IpAddr) -> bool {
        true
    }
}

/// One filter of each kind.
pub fn filters() -> Vec<Vec<u8>> {
    let deep = format!("{}udp{}", "not (".repeat(12), ")".repeat(12));
    let examples = filter::document::EXAMPLES.iter().map(|(filter, _)| *filter);
    let texts = examples.chain([
        "",
        "host 192.0.2.1 or src host 2001:db8::1",
        "net 172.16.1.0/24 and not dst net 2001:db8::/32",
        "src port 53 or dst port 443 && !(port 80)",
        "as 64500 and (src as 1 or dst as 4294967295)",
        "proto udp or proto 47 or tcp or icmp or icmp6",
        "bytes > 1000 and bytes <= 18446744073709551615 and packets = 3 and packets < 9 and packets >= 1",
        &deep,
    ]);
    texts.map(|text| text.as_bytes().to_vec()).collect()
}
