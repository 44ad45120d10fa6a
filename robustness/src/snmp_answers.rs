//! Answers of SNMP agents.

use std::sync::LazyLock;

use snmp::{Access, Authentication, Messages, Privacy};

/// Once: its passwords are hashed for a million octets.
static USER: LazyLock<Access> = LazyLock::new(|| {
    let (authentication, privacy) = (Authentication::Sha256, Privacy::Aes128);
    Access::user("netflow", (authentication, "a password"), (privacy, "another one")).expect("a user")
});

/// The engine ID of an agent, and the numbers of its messages here.
const RANDOM: u64 = 0;

/// Two datagrams in turn: the first may be the one in which an agent names itself.
pub fn answer(input: &[u8]) {
    let community = Access::community("public").expect("a community");
    for access in [community, USER.clone()] {
        let mut messages = Messages::new(access, RANDOM);
        let (first, second) = input.split_at(input.len() / 2);
        messages.is_answer(first);
        messages.is_answer(second);
        messages.is_answer(input);
    }
}

/// An answer of version 2c, and a report of version 3, with the number of the messages above.
pub fn answers() -> Vec<Vec<u8>> {
    let binding = [&[0x30, 16, 6, 8, 0x2b, 6, 1, 2, 1, 1, 5, 0, 4, 4][..], b"edge"].concat();
    let response = [&[0xa2, 29, 2, 1, 0, 2, 1, 0, 2, 1, 0, 0x30, 18][..], &binding].concat();
    let community = [&[0x30, 42, 2, 1, 1, 4, 6][..], b"public", &response].concat();
    let statistic = [0x30, 17, 6, 10, 0x2b, 6, 1, 6, 3, 15, 1, 1, 4, 0, 0x41, 3, 0, 0, 1];
    let report = [&[0xa8, 30, 2, 1, 0, 2, 1, 0, 2, 1, 0, 0x30, 19][..], &statistic].concat();
    let scoped = [&[0x30, 41, 4, 5][..], b"agent", &[4, 0], &report].concat();
    let security = [&[4, 21, 0x30, 19, 4, 5][..], b"agent", &[2, 1, 3, 2, 1, 9, 4, 0, 4, 0, 4, 0]].concat();
    let header = [2, 1, 3, 0x30, 14, 2, 1, 0, 2, 3, 0, 0xff, 0xe3, 4, 1, 0, 2, 1, 3];
    let content = [&header[..], &security, &scoped].concat();
    let message = [&[0x30, u8::try_from(content.len()).expect("short")][..], &content].concat();
    vec![community, message]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_answer_is_one() {
        let community = Access::community("public").expect("a community");
        assert!(Messages::new(community, RANDOM).is_answer(&answers()[0]));
    }
}
