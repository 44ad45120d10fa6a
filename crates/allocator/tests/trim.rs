//! Free memory between allocations in use; in a process of its own, because other tests also change its memory.
#![cfg(target_env = "gnu")]
#![expect(clippy::unwrap_used, reason = "a test may fail")]

use std::thread;

/// Octets.
const PIECE: usize = 1024;
const MIB: usize = 1 << 20;

/// Octets.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

#[test]
fn memory_between_allocations_of_a_thread_is_returned() {
    allocator::return_free_memory();
    let before = resident();
    let pieces = thread::spawn(|| (0..64 * MIB / PIECE).map(|_| vec![1_u8; PIECE]).collect::<Vec<_>>()).join().unwrap();
    let held = resident();
    let in_use: Vec<Vec<u8>> = pieces.into_iter().step_by(1000).collect();
    let pinned = resident();
    allocator::trim();
    let after = resident();
    assert!(held >= before + 64 * MIB && pinned >= before + 60 * MIB, "{before} {held} {pinned}");
    assert!(after <= before + 8 * MIB && !in_use.is_empty(), "{before} {after}");
}
