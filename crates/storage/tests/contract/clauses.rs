//! What every store must do, one clause a function. The macro [`contract`] makes a test of each clause for one kind of
//! store; it takes the name of an `async fn() -> (impl Store, impl Sized)` that gives an empty store and whatever has to
//! live as long as it.
//!
//! What only some stores promise (files, expiry by themselves, recovery) is tested beside their own tests.

#![expect(clippy::expect_used, reason = "inputs of tests that cannot be made are failures")]

use std::error::Error;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::ControlFlow;
use std::time::Duration;

use accounting::block::{Block, BlockKey, Origin, TableSet, Tables, WriterId};
use accounting::direction::Direction;
use accounting::field::{Field, Name, Value};
use accounting::period::{Interval, Minute, PerPeriod, Period};
use accounting::watermarks::Watermarks;
use flow::{Counters, FlushNumber, Network, Prefix, Timestamp};
use storage::check::{CheckEvent, check};
use storage::copy::copy;
use storage::registrations::OPERATOR;
use storage::roll_up::advance;
use storage::{Blocks, Memory, Presence, Retention, Selection, Store, StoreError, WriterState};

mod blocks;
mod copying;
mod remarks;
mod senders;
mod writers;

pub(crate) use blocks::*;
pub(crate) use copying::*;
pub(crate) use remarks::*;
pub(crate) use senders::*;
pub(crate) use writers::*;

pub(crate) type Outcome = Result<(), Box<dyn Error>>;

macro_rules! contract {
    ($make:path) => {
        contract! { $make:
            prefixes_of_a_sender_add_up
            senders_are_listed_by_address
            prefixes_are_removed_one_by_one
            settings_are_changed_one_by_one_and_end_with_their_sender
            tags_are_replaced_together_and_end_with_their_sender
            names_and_who_registered_are_replaced_alone
            networks_are_replaced_by_prefix_and_removed
            a_sender_is_forgotten_with_its_prefixes
            the_last_time_of_a_sender_never_goes_back
            templates_are_remembered_until_others_come_or_the_sender_goes
            remarks_stay_when_their_sender_goes
            a_remark_that_comes_again_is_there_once
            the_newest_remarks_about_a_sender_are_kept
            a_block_is_read_as_it_was_put
            a_block_put_again_is_there_once
            a_block_put_with_other_content_is_replaced
            blocks_that_differ_in_any_part_of_the_key_are_different
            a_selection_names_blocks_exactly
            a_selection_asks_for_tables
            overlapping_selections_give_a_block_once
            nothing_asked_is_nothing_read
            blocks_of_one_writer_are_read_alone
            missing_blocks_are_those_with_exactly_that_key
            groups_are_those_of_one_writer_and_interval
            the_first_interval_is_found_from_any_minute
            intervals_are_listed_between_two_minutes
            deleted_blocks_are_gone_and_no_others
            expiry_spares_what_is_kept
            expiry_spares_what_is_not_rolled_up
            what_has_expired_is_noted_once_and_for_all
            a_forgotten_writer_has_no_blocks_and_may_write_them_again
            writers_are_remembered_by_their_newest_state
            a_state_is_replaced_only_where_the_store_knows_the_former_one
            one_of_those_that_replace_a_state_at_the_same_time_succeeds
            many_blocks_are_put_at_once
            puts_at_the_same_time_all_arrive
            everything_is_copied_into_it_and_back
            samples_and_presence_are_those_of_the_minutes_at_every_level
        }
    };
    ($make:path: $($clause:ident)+) => {
        $(
            #[tokio::test]
            async fn $clause() {
                let (store, _keep) = $make().await;
                clauses::$clause(&store).await.unwrap();
            }
        )+
    };
}

const ADA: WriterId = WriterId(0xada);
const BOB: WriterId = WriterId(0xfeed_face_cafe_beef);

fn sender(number: u8) -> IpAddr {
    Ipv4Addr::new(192, 0, 2, number).into()
}

fn sender6() -> IpAddr {
    Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into()
}

fn prefix(number: u8) -> Prefix {
    Prefix::new(Ipv4Addr::new(172, 16, number, 0).into(), 24).expect("a first address")
}

fn prefix6() -> Prefix {
    Prefix::new(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0).into(), 32).expect("a first address")
}

/// 2026-02-28 23:59 UTC, the last minute of a month.
const MINUTE: Minute = Minute::new(29_538_719);

fn minute(after: u32) -> Interval {
    Interval { period: Period::Minute, start: MINUTE.saturating_add(after) }
}

fn all_in() -> TableSet {
    TableSet::of(Direction::In, Field::All)
}

fn flush(epoch: u32, sequence: u64) -> Origin {
    FlushNumber { epoch, sequence }.into()
}

/// A block of everything in, for the first sender and prefix.
fn key() -> BlockKey {
    BlockKey {
        interval: minute(0),
        sender: sender(1),
        prefix: prefix(1),
        writer: ADA,
        origin: flush(1, 1),
        part: 0,
        tables: all_in(),
    }
}

fn block(key: BlockKey) -> Block {
    Block { key, content: format!("{key:?}").into() }
}

/// Everything that is stored beside the key.
fn around(key: BlockKey) -> Selection {
    Selection { interval: key.interval, sender: key.sender, prefix: key.prefix, tables: TableSet::ALL }
}

fn sorted(mut blocks: Vec<Block>) -> Vec<Block> {
    blocks.sort_by_key(|block| block.key);
    blocks
}

async fn stored(store: &dyn Store, selections: &[Selection]) -> Result<Vec<Block>, Box<dyn Error>> {
    Ok(sorted(store.read_blocks(selections).await?))
}
