//! The question for the name of an address, and its answer (RFC 1035, section 4). An answer is read within fixed bounds: names have
//! at most 255 octets, pointers in them lead back only, and a limited number of records is looked at.

use std::net::IpAddr;

use flow::SenderName;

/// The octets of a header.
const HEADER: usize = 12;
/// The flag of an answer, the kind of question, and the flag that asks the server to ask others.
const IS_ANSWER: u8 = 0x80;
const OPCODE: u8 = 0x78;
const RECURSION_DESIRED: u8 = 0x01;
/// The error code in the flags (RFC 1035, section 4.1.1), and that of a name that does not exist.
const CODE: u8 = 0x0f;
const NO_SUCH_NAME: u8 = 3;
/// The type of a pointer to a name, and the class Internet.
const PTR: u16 = 12;
const INTERNET: u16 = 1;
/// The octets of type, class, time to live and length in a record.
const FIXED: usize = 10;
/// The most octets of a name (RFC 1035, section 2.3.4).
const LONGEST: usize = 255;
/// The records that are looked at.
const MOST_RECORDS: u16 = 64;

/// What a datagram from a server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading {
    /// The name of the address.
    Name(SenderName),
    /// It has none, or none that a host can have.
    Nameless,
    /// The server answers with an error.
    Failed(u8),
    /// It cannot be read.
    Damaged,
    /// It is no answer to the question.
    Foreign,
}

/// The question for the name of an address, with this number.
#[must_use]
pub fn question(number: u16, address: IpAddr) -> Vec<u8> {
    let mut message = number.to_be_bytes().to_vec();
    // One question; no records of any kind.
    message.extend([RECURSION_DESIRED, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    let mut label = |text: &str| {
        message.extend(u8::try_from(text.len()));
        message.extend(text.as_bytes());
    };
    match address {
        IpAddr::V4(address) => {
            address.octets().iter().rev().for_each(|octet| label(&octet.to_string()));
            label("in-addr");
        }
        IpAddr::V6(address) => {
            let digits = address.octets().into_iter().rev().flat_map(|octet| [octet & 15, octet >> 4]);
            digits.for_each(|digit| label(&format!("{digit:x}")));
            label("ip6");
        }
    }
    label("arpa");
    message.push(0);
    message.extend([PTR, INTERNET].into_iter().flat_map(u16::to_be_bytes));
    message
}

/// What a datagram answers to a question. Of several names, the first in alphabetical order counts: servers change the order of their
/// records.
#[must_use]
pub fn read(question: &[u8], message: &[u8]) -> Reading {
    let (Some(asked), Some(echoed)) = (question.get(HEADER..), message.get(HEADER..question.len())) else {
        return Reading::Foreign;
    };
    let Some([high, low, flags, more, 0, 1, records @ ..]) = message.get(..HEADER) else { return Reading::Foreign };
    let is_answer = flags & IS_ANSWER != 0 && flags & OPCODE == 0;
    if question.get(..2) != Some(&[*high, *low]) || !is_answer || !asked.eq_ignore_ascii_case(echoed) {
        return Reading::Foreign;
    }
    match more & CODE {
        0 => {}
        NO_SUCH_NAME => return Reading::Nameless,
        code => return Reading::Failed(code),
    }
    let count = records.first_chunk().map_or(0, |count| u16::from_be_bytes(*count));
    let (names, is_damaged) = names(message, question.len(), count.min(MOST_RECORDS));
    match names.into_iter().min() {
        Some(name) => Reading::Name(name),
        None if is_damaged => Reading::Damaged,
        None => Reading::Nameless,
    }
}

/// The names that records point to, and whether these end too early.
fn names(message: &[u8], mut at: usize, records: u16) -> (Vec<SenderName>, bool) {
    let mut names = Vec::new();
    for _ in 0..records {
        let Some((name, next)) = record(message, at) else { return (names, true) };
        names.extend(name);
        at = next;
    }
    (names, false)
}

/// The name that a record points to, and where the next one begins.
fn record(message: &[u8], at: usize) -> Option<(Option<SenderName>, usize)> {
    // The owner of the record is another name where a CNAME leads to it (RFC 2317).
    let (_, at) = labels(message, at)?;
    let fixed: &[u8; FIXED] = message.get(at..)?.first_chunk()?;
    let [kind_high, kind_low, class_high, class_low, _, _, _, _, length_high, length_low] = *fixed;
    let data = at + FIXED;
    let next = data + usize::from(u16::from_be_bytes([length_high, length_low]));
    message.get(data..next)?;
    let is_pointer = [[kind_high, kind_low], [class_high, class_low]].map(u16::from_be_bytes) == [PTR, INTERNET];
    if !is_pointer {
        return Some((None, next));
    }
    let (labels, end) = labels(message, data)?;
    (end == next).then(|| (host_name(&labels), next))
}

/// Labels as the name of a host; `None` if a host cannot have it.
fn host_name(labels: &[&[u8]]) -> Option<SenderName> {
    let has_dots = labels.iter().any(|label| label.contains(&b'.'));
    let text = labels.join(&b'.');
    std::str::from_utf8(&text).ok().filter(|_| !has_dots)?.parse().ok()
}

/// The labels of a name, and where what follows the name begins.
fn labels(message: &[u8], start: usize) -> Option<(Vec<&[u8]>, usize)> {
    let (mut labels, mut octets, mut end) = (Vec::new(), 0, None);
    let (mut at, mut least) = (start, start);
    loop {
        let first = *message.get(at)?;
        match first >> 6 {
            0 if first == 0 => return Some((labels, end.unwrap_or(at + 1))),
            0 => {
                let next = at + 1 + usize::from(first);
                labels.push(message.get(at + 1..next)?);
                octets += next - at;
                if octets >= LONGEST {
                    return None;
                }
                at = next;
            }
            3 => {
                let to = usize::from(first & 0x3f) << 8 | usize::from(*message.get(at + 1)?);
                end.get_or_insert(at + 2);
                // Each leads further back, so that they come to an end.
                if to >= least {
                    return None;
                }
                (at, least) = (to, to);
            }
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use testing::name_server::{answer, record};

    use super::*;

    fn asked() -> Vec<u8> {
        question(0x1234, "192.0.2.1".parse().unwrap())
    }

    fn name(text: &str) -> Reading {
        Reading::Name(text.parse().unwrap())
    }

    /// A name as it is written without pointers.
    fn written(labels: &[&[u8]]) -> Vec<u8> {
        let mut name: Vec<u8> = labels.iter().flat_map(|label| [&[label.len() as u8][..], label].concat()).collect();
        name.push(0);
        name
    }

    fn read_pointer(to: &[u8]) -> Reading {
        read(&asked(), &answer(&asked(), 0, &[record(PTR, to)]))
    }

    #[test]
    fn a_question_has_the_reversed_address() {
        let expected = b"\x124\x01\0\0\x01\0\0\0\0\0\0\x011\x012\x010\x03192\x07in-addr\x04arpa\0\0\x0c\0\x01";
        assert_eq!(asked(), expected);
        let v6 = question(1, "2001:db8::12".parse().unwrap());
        assert!(v6[HEADER..].starts_with(b"\x012\x011\x010\x010"));
        assert!(v6.ends_with(b"\x018\x01b\x01d\x010\x011\x010\x010\x012\x03ip6\x04arpa\0\0\x0c\0\x01"));
    }

    #[test]
    fn the_name_of_an_answer_is_read_also_over_an_alias_and_over_pointers() {
        assert_eq!(read_pointer(&written(&[b"edge-1", b"example", b"net"])), name("edge-1.example.net"));
        // To "arpa" in the question.
        let arpa = asked().len() - 10;
        assert_eq!(read_pointer(&[4, b'e', b'd', b'g', b'e', 0xc0, arpa as u8]), name("edge.arpa"));
        let alias = record(5, &written(&[b"1", b"0-63", b"2", b"0", b"192"]));
        let pointer = record(PTR, &written(&[b"edge"]));
        assert_eq!(read(&asked(), &answer(&asked(), 0, &[alias, pointer.clone()])), name("edge"));
        // Servers change the order.
        let other = record(PTR, &written(&[b"core"]));
        for records in [[pointer.clone(), other.clone()], [other, pointer.clone()]] {
            assert_eq!(read(&asked(), &answer(&asked(), 0, &records)), name("core"));
        }
        // Truncated after the first record.
        let mut truncated = answer(&asked(), 0, &[pointer]);
        truncated[7] = 2;
        assert_eq!(read(&asked(), &truncated), name("edge"));
    }

    #[test]
    fn an_address_without_a_name_an_error_and_another_answer_are_distinguished() {
        assert_eq!(read(&asked(), &answer(&asked(), 3, &[])), Reading::Nameless);
        assert_eq!(read(&asked(), &answer(&asked(), 0, &[])), Reading::Nameless);
        assert_eq!(read(&asked(), &answer(&asked(), 2, &[])), Reading::Failed(2));
        let good = answer(&asked(), 0, &[record(PTR, &written(&[b"edge"]))]);
        let mut other_number = good.clone();
        other_number[0] ^= 1;
        let mut other_address = good.clone();
        other_address[HEADER + 1] = b'2';
        for foreign in [other_number, other_address, asked(), good[..20].to_vec(), Vec::new()] {
            assert_eq!(read(&asked(), &foreign), Reading::Foreign);
        }
    }

    #[test]
    fn names_that_no_host_has_are_none() {
        for labels in [
            vec![&b"<script>alert(1)</script>"[..], b"example"],
            vec!["\u{202e}ten".as_bytes()],
            vec![b"edge\x1b[2J"],
            vec![b"edge.example"],
            vec![b"a b"],
            vec![b"\xff\xfe"],
            vec![],
        ] {
            assert_eq!(read_pointer(&written(&labels)), Reading::Nameless, "{labels:?}");
        }
    }

    #[test]
    fn damaged_names_are_read_in_bounds() {
        let pointer_to = |place: usize| [0xc0 | (place >> 8) as u8, place as u8];
        let own = asked().len() + 2 + FIXED;
        // To itself, forwards, to a pointer to it, and to one half of a label.
        for pointer in [pointer_to(own), pointer_to(own + 40), pointer_to(0x3fff), pointer_to(own - FIXED - 2)] {
            let reading = read_pointer(&pointer);
            assert!(matches!(reading, Reading::Damaged | Reading::Name(_)), "{reading:?}");
        }
        let loops = [vec![1, b'a'], pointer_to(own).to_vec()].concat();
        assert_eq!(read_pointer(&loops), Reading::Damaged);
        // 4 KiB, in labels of 63.
        let long = written(&vec![&[b'a'; 63][..]; 64]);
        assert_eq!(read_pointer(&long), Reading::Damaged);
        for reserved in [0x40, 0x80] {
            assert_eq!(read_pointer(&[reserved, 0]), Reading::Damaged);
        }
        // More than the data, and less.
        assert_eq!(read_pointer(&[1, b'a']), Reading::Damaged);
        assert_eq!(read_pointer(&[1, b'a', 0, 0]), Reading::Damaged);
        // The longest name that is possible, and one octet more.
        let labels = |last: usize| [vec![vec![b'a'; 63]; 3], vec![vec![b'a'; last]]].concat();
        let longest = |last: usize| read_pointer(&written(&labels(last).iter().map(Vec::as_slice).collect::<Vec<_>>()));
        assert!(matches!(longest(61), Reading::Name(name) if name.as_str().len() == SenderName::LONGEST));
        assert_eq!(longest(62), Reading::Damaged);
    }

    #[test]
    fn the_number_of_records_is_bounded() {
        let alias = record(5, &[0]);
        let records = vec![alias; usize::from(MOST_RECORDS)];
        let pointer = record(PTR, &written(&[b"edge"]));
        let with_more = [records.clone(), vec![pointer.clone()]].concat();
        assert_eq!(read(&asked(), &answer(&asked(), 0, &with_more)), Reading::Nameless);
        let within = [records[1..].to_vec(), vec![pointer]].concat();
        assert_eq!(read(&asked(), &answer(&asked(), 0, &within)), name("edge"));
    }
}
