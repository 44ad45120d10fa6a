//! Answers of DNS servers.

use dns::{Reading, question, read};
use testing::name_server::{answer as written, record};

fn asked() -> Vec<u8> {
    question(0, "192.0.2.1".parse().expect("an address"))
}

/// An answer to the question is read as it is, and with the question in its place, which most mutations damage.
pub fn answer(input: &[u8]) {
    let asked = asked();
    let _ = read(&asked, input);
    let mut message = input.to_vec();
    if message.len() > asked.len() {
        message[..asked.len()].copy_from_slice(&asked);
        (message[2], message[7]) = (0x81, input[7]);
        if let Reading::Name(name) = read(&asked, &message) {
            assert!((1..=253).contains(&name.as_str().len()));
        }
    }
}

/// Answers with a name, with an alias before it, and with none.
pub fn answers() -> Vec<Vec<u8>> {
    let (name, alias) = (record(12, b"\x06edge-1\x07example\x03net\0"), record(5, b"\x010\xc0\x0c"));
    let records = [vec![name.clone()], vec![alias, name], vec![record(12, b"\x04edge\xc0\x1a")], Vec::new()];
    records.iter().map(|records| written(&asked(), 0, records)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_answer_has_a_name() {
        assert!(matches!(read(&asked(), &answers()[0]), Reading::Name(name) if name.as_str() == "edge-1.example.net"));
    }
}
