//! Makes glibc's allocator return free memory to the kernel.
//!
//! glibc maps a large allocation on its own and unmaps it when it is freed, but only the first time: afterwards
//! allocations up to that size (at most 32 MiB) come from its heaps, and twice as much may stay there unused. Each
//! flush allocates and frees memory for all quiet exporters, so a collector with many exporters would keep that memory
//! indefinitely (docs/decisions/0005-bench.md has the figures).
//!
//! Of the heap of a thread, glibc returns only the end. Free memory before a small allocation that is in use stays, which
//! after many long answers at a time is most of it, until it is asked to return all free pages.
//!
//! Other C libraries have no such settings.

/// Allocations of at least this many octets are mapped on their own, and at most this many stay unused at the end of a
/// heap. glibc's initial value.
#[cfg(target_env = "gnu")]
const LARGE: libc::c_int = 128 << 10;

/// Makes the allocator return free memory from now on. Call it once, when the process starts.
pub fn return_free_memory() {
    #[cfg(target_env = "gnu")]
    #[expect(unsafe_code, reason = "mallopt has no safe wrapper")]
    // SAFETY: mallopt takes numbers and locks the state that it changes. A value that it refuses changes nothing.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE);
        libc::mallopt(libc::M_TRIM_THRESHOLD, LARGE);
    }
}

/// Returns all free pages to the kernel. Takes milliseconds after 100 MiB were used, and less than one otherwise; other
/// threads that allocate may wait for as long.
pub fn trim() {
    #[cfg(target_env = "gnu")]
    #[expect(unsafe_code, reason = "malloc_trim has no safe wrapper")]
    // SAFETY: malloc_trim takes a number and locks the heaps that it changes.
    unsafe {
        libc::malloc_trim(0);
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
    fn large_allocations_are_returned_after_the_first_one_too() {
        super::return_free_memory();
        drop(black_box(vec![1_u8; 24 * MIB]));
        let before = resident();
        let pieces: Vec<_> = (0..32).map(|_| black_box(vec![1_u8; MIB])).collect();
        let after_them = black_box(vec![1_u8; 1000]);
        let held = resident();
        drop(pieces);
        let after = resident();
        drop(after_them);
        assert!(held >= before + 30 * MIB, "{before} {held}");
        assert!(after <= before + 2 * MIB, "{before} {after}");
    }
}
