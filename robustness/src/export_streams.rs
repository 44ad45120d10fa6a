//! What exporters send in TCP connections.

use flow::{Exporter, Timestamp};
use wire::encode::{Ipfix, TemplateSpec};
use wire::framing::message_length;
use wire::{Datagram, FieldSpecifier, Session, SessionLimits, ipfix};

/// The most octets by which a message is recognised.
const RECOGNISED_BY: usize = 4;

/// A stream is cut into messages, whichever of its octets arrive first; all of them are decoded, and nothing is left of the
/// connection when it has ended.
pub fn stream(input: &[u8]) {
    let (exporter, received) = (Exporter::tcp([192, 0, 2, 1].into(), 1), Timestamp::from_seconds(1_800_000_000));
    let (mut session, mut rest) = (Session::new(SessionLimits::default()), input);
    loop {
        let found = message_length(rest);
        for count in 0..rest.len().min(RECOGNISED_BY) {
            let known = message_length(&rest[..count]);
            // The version of what is no message is known octet by octet.
            assert!(
                known == Ok(None) || (known.is_err() && found.is_err()),
                "{known:?} of {count} octets, {found:?} of all"
            );
        }
        let Ok(Some(length)) = found else { break };
        assert!((size_of::<ipfix::Header>()..=usize::from(u16::MAX)).contains(&length));
        let Some((payload, after)) = rest.split_at_checked(length) else { break };
        let decoded = session.decode(&Datagram { exporter, received, payload }, &mut |_| ());
        assert_eq!(decoded.pending, 0, "nothing can be late in a stream");
        rest = after;
    }
    session.end_connection(exporter.port);
    assert_eq!((session.template_count(), session.connection_ports().count()), (0, 0));
}

/// Connections with templates, data, withdrawals and definitions that change, some cut off.
pub fn streams() -> Vec<Vec<u8>> {
    let message = || Ipfix::new(ipfix::Header::default());
    let [destination, bytes] = [12, 1].map(|id| FieldSpecifier::iana(id, 4));
    let [one, other] = [[destination, bytes], [bytes, destination]].map(|fields| TemplateSpec::data(256, fields));
    let record = [vec![192, 0, 2, 1, 0, 0, 0, 100]];
    let whole = [
        message().template(&one).finish(),
        message().data(&one, &record).data(&one, &record).finish(),
        message().set(ipfix::TEMPLATE_SET, &[1, 0, 0, 0]).template(&other).data(&other, &record).finish(),
        message().template(&one).data(&one, &record).finish(),
    ]
    .concat();
    vec![whole[..whole.len() - 3].to_vec(), message().template(&one).finish(), whole]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_messages_of_the_last_stream_are_found() {
        let (mut count, streams) = (0, streams());
        let mut rest = streams.last().expect("a stream").as_slice();
        while let Ok(Some(length)) = message_length(rest) {
            (count, rest) = (count + 1, &rest[length..]);
        }
        assert_eq!((count, rest), (4, &[][..]));
    }
}
