//! How the C library's allocator gives memory back.
//!
//! glibc maps large pieces of memory on their own and unmaps them when they are freed, but only until it has seen that once:
//! from then on pieces up to that size (at most 32 MiB) come from its heaps, and twice as much may stay there unused. Each
//! flush takes and frees as much as all quiet exporters are worth, so a collector of many would hold it for ever
//! (docs/decisions/0005-bench.md has the figures). Other C libraries have no such setting and are left as they are.

/// A piece of memory of so many octets is mapped on its own, and so many may stay unused at the end of a heap: what glibc
/// begins with.
#[cfg(target_env = "gnu")]
const LARGE: libc::c_int = 128 << 10;

/// Has the allocator give back what is free, now and ever after. To be called once, when the process starts.
pub fn give_back_what_is_free() {
    #[cfg(target_env = "gnu")]
    #[expect(unsafe_code, reason = "the C library offers it in no other way")]
    // SAFETY: mallopt takes numbers and locks what it changes. A value that it refuses changes nothing.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE);
        libc::mallopt(libc::M_TRIM_THRESHOLD, LARGE);
    }
}

#[cfg(test)]
#[cfg(target_env = "gnu")]
mod tests {
    use std::hint::black_box;

    const MIB: usize = 1 << 20;

    /// Octets.
    fn resident() -> usize {
        let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
        statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
    }

    #[test]
    fn what_was_large_once_is_given_back_ever_after() {
        super::give_back_what_is_free();
        drop(black_box(vec![1_u8; 24 * MIB]));
        let before = resident();
        let pieces: Vec<_> = (0..32).map(|_| black_box(vec![1_u8; MIB])).collect();
        let behind = black_box(vec![1_u8; 1000]);
        let held = resident();
        drop(pieces);
        let after = resident();
        drop(behind);
        assert!(held >= before + 30 * MIB, "{before} {held}");
        assert!(after <= before + 2 * MIB, "{before} {after}");
    }
}
