//! A flow as an object of JSON: its columns by their names, as in answers of the REST interface, and its identity.

use std::io::Write;

use columns::{Row, Value};
use flow::Timestamp;

use crate::identity::Identity;

/// Appends the object of a flow. What the record does not carry is left out.
pub(crate) fn write(row: &Row, identity: &Identity, out: &mut Vec<u8>) {
    let Identity { writer, flush, index } = identity;
    // Writing to memory does not fail.
    _ = write!(out, r#"{{"writer":"{writer}","epoch":{},"flush":{},"index":{index}"#, flush.epoch, flush.sequence);
    for id in row.columns().iter() {
        let name = id.column().name;
        _ = match row.value(id) {
            Value::Time(Timestamp::EPOCH)
            | Value::Mac([0, 0, 0, 0, 0, 0])
            | Value::Country(None)
            | Value::AsPath(None) => Ok(()),
            Value::Address(address) if address.is_ipv4() && address.is_unspecified() => Ok(()),
            Value::Number(number) => write!(out, r#","{name}":{number}"#),
            Value::Time(time) => write!(out, r#","{name}":"{time}""#),
            Value::Mac([a, b, c, d, e, f]) => {
                write!(out, r#","{name}":"{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}""#)
            }
            Value::Country(Some(country)) => write!(out, r#","{name}":"{country}""#),
            Value::Address(address) => write!(out, r#","{name}":"{address}""#),
            // Digits, spaces, commas and braces.
            Value::AsPath(Some(path)) => write!(out, r#","{name}":"{path}""#),
        };
    }
    out.push(b'}');
}

#[cfg(test)]
mod tests {
    use columns::Id;
    use flow::{FlushNumber, WriterId};
    use serde_json::json;

    use super::*;

    #[test]
    fn a_flow_is_an_object_with_the_columns_that_it_carries() {
        let mut row = Row::new();
        row.set(Id::Bytes, u64::MAX);
        row.set(Id::SrcMac, 0x0200_5e00_5301);
        row.set(Id::DstMac, 0);
        row.set_address(Id::SrcIp, "2001:db8::1".parse().unwrap());
        let identity = Identity { writer: WriterId(0xab), flush: FlushNumber { epoch: 7, sequence: 300 }, index: 5 };
        let mut out = Vec::new();
        write(&row, &identity, &mut out);
        let value: serde_json::Value = serde_json::from_slice(&out).unwrap();
        let expected = json!({
            "writer": "00000000000000ab", "epoch": 7, "flush": 300, "index": 5,
            "bytes": u64::MAX, "srcmac": "02:00:5e:00:53:01", "srcip": "2001:db8::1",
        });
        assert_eq!(value, expected);
    }
}
