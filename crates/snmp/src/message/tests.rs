use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;
use crate::access::{Authentication, Privacy};
use crate::oid::{Oid, SYS_NAME};
use crate::pdu::Value;

const ENGINE: &[u8] = b"\x80engine";

/// Once: its passwords are hashed for a million octets.
static USER: LazyLock<Access> = LazyLock::new(|| {
    Access::user("netflow", (Authentication::Sha256, "a password"), (Privacy::Aes128, "another one")).unwrap()
});

fn user() -> Access {
    USER.clone()
}

/// A response or report as an agent writes it.
fn response(tag: u8, id: i32, oid: &[u32], value: &[u8]) -> Vec<u8> {
    let binding = ber::sequence(&[ber::tagged(ber::OBJECT, &crate::oid::write(oid)), ber::octets(value)]);
    let fields = [ber::integer(id.into()), ber::integer(0), ber::integer(0), ber::sequence(&[binding])];
    ber::tagged(tag, &fields.concat())
}

fn report(id: i32, statistic: u32) -> Vec<u8> {
    let oid: Oid = USM_STATS.iter().copied().chain([statistic, 0]).collect();
    let scoped = ber::sequence(&[ber::octets(ENGINE), ber::octets(&[]), response(0xa8, id, &oid, &[])]);
    let security = security(ENGINE, (3, 1000), &[], &[], &[]);
    ber::sequence(&[ber::integer(VERSION_3), header(id, 0), security, scoped])
}

/// An encrypted message of an agent with this content, and the messages that expect it.
fn sealed(content: &[u8]) -> (Messages, Vec<u8>) {
    let access = user();
    let Access::User(user) = &access else { unreachable!() };
    let mut messages = Messages::new(access.clone(), 7);
    messages.next();
    assert_eq!(messages.read(&report(messages.id, 4)), Incoming::Learnt);
    let engine = messages.engine.as_ref().unwrap();
    let mut text = content.to_vec();
    let salt = [5; SALT];
    crypto::encrypt(user.privacy, &engine.privacy_key, start_of(3, 1001, &salt).unwrap(), &mut text).unwrap();
    let text = ber::octets(&text);
    let length = user.authentication.code_length();
    let security = security(ENGINE, (3, 1001), b"netflow", &vec![0; length], &salt);
    let header = header(messages.id, AUTHENTICATED | ENCRYPTED);
    let mut message = ber::sequence(&[ber::integer(VERSION_3), header, security, text.clone()]);
    let code = user.authentication.code(&engine.authentication_key, &message);
    let end = message.len() - text.len() - 2 - SALT;
    message[end - length..end].copy_from_slice(&code);
    (messages, message)
}

fn answer(id: i32) -> Vec<u8> {
    ber::sequence(&[ber::octets(ENGINE), ber::octets(&[]), response(0xa2, id, SYS_NAME, b"edge-1")])
}

fn id_of_sealed() -> i32 {
    sealed(&[]).0.id
}

#[test]
fn an_answer_of_2c_counts_with_its_id_and_community_only() {
    let mut messages = Messages::new(Access::community("public").unwrap(), 7);
    messages.next();
    let id = messages.id;
    let message = |community: &[u8], id| {
        ber::sequence(&[ber::integer(VERSION_2C), ber::octets(community), response(0xa2, id, SYS_NAME, b"edge-1")])
    };
    let Incoming::Answer(read) = messages.read(&message(b"public", id)) else { panic!() };
    assert_eq!(read.bindings, [(SYS_NAME.to_vec(), Value::Octets(b"edge-1".to_vec()))]);
    assert_eq!(messages.read(&message(b"private", id)), Incoming::Foreign);
    assert_eq!(messages.read(&message(b"public", id - 1)), Incoming::Foreign);
}

#[test]
fn an_answer_of_version_3_counts_if_it_is_authentic() {
    let id = id_of_sealed();
    let (mut messages, message) = sealed(&answer(id));
    assert!(messages.is_answer(&message));
    let (mut messages, message) = sealed(&answer(id - 1));
    assert_eq!(messages.read(&message), Incoming::Foreign);
    let (mut messages, message) = sealed(&answer(id));
    for place in 0..message.len() {
        let mut forged = message.clone();
        forged[place] ^= 1;
        assert!(!messages.is_answer(&forged), "{place}");
    }
    assert!(!messages.is_answer(&message[..message.len() - 1]));
    assert!(messages.is_answer(&message));
}

#[test]
fn what_is_not_authentic_changes_no_clock_and_an_unencrypted_answer_is_none() {
    let (mut messages, message) = sealed(&answer(id_of_sealed()));
    let id = messages.id;
    assert!(matches!(messages.read(&report(id, 3)), Incoming::Refused(reason) if reason.contains("know the user")));
    let scoped = answer(id);
    let security = security(ENGINE, (i64::MAX, 9), b"netflow", &[], &[]);
    let plain = ber::sequence(&[ber::integer(VERSION_3), header(id, 0), security, scoped]);
    assert_eq!(messages.read(&plain), Incoming::Foreign);
    assert_eq!(messages.engine.as_ref().unwrap().boots, 3);
    assert!(messages.is_answer(&message));
}

#[test]
fn our_own_requests_have_a_valid_code_and_the_clock_of_the_agent() {
    let (mut messages, _) = sealed(&[]);
    let request = messages.write(&Request::Get(&[SYS_NAME.to_vec()])).unwrap();
    let message = Message::split(&request).unwrap();
    let Access::User(user) = user() else { unreachable!() };
    let key = &messages.engine.as_ref().unwrap().authentication_key;
    assert!(user.authentication.is_code(key, &message.without_code(&request).unwrap(), message.code));
    assert_eq!((message.boots, message.time >= 1000), (3, true));
    let salt = message.salt.to_vec();
    let next = messages.write(&Request::Get(&[])).unwrap();
    assert_ne!(Message::split(&next).unwrap().salt, salt);
}

proptest! {
    #[test]
    fn any_octets_and_any_mutation_of_a_message_are_read_or_refused(seed: u64, octets: Vec<u8>) {
        let mut random = testing::Random::new(seed);
        let id = id_of_sealed();
        let (mut messages, message) = sealed(&answer(id));
        messages.is_answer(&octets);
        for right in [message, report(id, 2), answer(id)] {
            let mut mutated = right.clone();
            testing::mutate(&mut random, &mut mutated, &right);
            messages.is_answer(&mutated);
        }
    }

    /// What an agent with the right keys may send.
    #[test]
    fn any_authentic_content_is_read_or_refused(seed: u64, octets: Vec<u8>) {
        let right = answer(id_of_sealed());
        let mut mutated = right.clone();
        testing::mutate(&mut testing::Random::new(seed), &mut mutated, &right);
        for content in [mutated, octets] {
            let (mut messages, message) = sealed(&content);
            messages.is_answer(&message);
        }
    }
}
