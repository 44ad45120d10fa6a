//! Filters of `/tap`, which a client writes.

use flow::{FlowRecord, Timestamp};
use tap::Filter;
use tap::filter::LONGEST_BYTES;

/// A filter of a query.
pub fn filter(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    match text.parse::<Filter>() {
        Ok(filter) => {
            assert!(text.len() <= LONGEST_BYTES, "{} octets were read", text.len());
            let shown = filter.to_string();
            // Words may be longer than the operators that they replace.
            if shown.len() <= LONGEST_BYTES {
                assert_eq!(shown.parse().as_ref(), Ok(&filter), "{text}: {shown}");
            }
            let _ = filter.passes(&FlowRecord::empty(Timestamp::EPOCH));
        }
        Err(error) => {
            let columns = text.chars().count().max(LONGEST_BYTES) + 1;
            assert!((1..=columns).contains(&error.column), "{text}: {error}");
            assert!(!error.message.is_empty(), "{text}");
        }
    }
}

/// One filter of each kind.
pub fn filters() -> Vec<Vec<u8>> {
    let deep = format!("{}udp{}", "not (".repeat(12), ")".repeat(12));
    let texts = [
        "",
        "host 192.0.2.1 or src host 2001:db8::1",
        "net 172.16.1.0/24 and not dst net 2001:db8::/32",
        "src port 53 or dst port 443 && !(port 80)",
        "as 64500 and (src as 1 or dst as 4294967295)",
        "proto udp or proto 47 or tcp or icmp or icmp6",
        "bytes > 1000 and bytes <= 18446744073709551615 and packets = 3 and packets < 9 and packets >= 1",
        &deep,
    ];
    texts.map(|text| text.as_bytes().to_vec()).into()
}
