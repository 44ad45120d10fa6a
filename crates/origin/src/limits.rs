//! How much a file may have. A larger one is refused, and the last good table remains.

/// Octets of a file. The largest of those that are made for this purpose have about 60 MB, and city databases 130 MB.
pub const FILE_BYTES: u64 = 256 << 20;

/// Ranges of a file in one family. The Internet's routing table has about a million IPv4 routes, and less than half as many
/// ranges. At the limit, compiling those of IPv6 takes 320 MB beside the file, and the table 128 MB.
pub const RANGES: usize = 1 << 21;

/// AS names of a file. About 120,000 AS numbers are in use.
pub const NAMES: usize = 1 << 19;

/// Octets of an AS name. Longer ones are truncated: they are for a line of a table.
pub const NAME_BYTES: usize = 100;

/// Files of a table. More are no better, and each adds to the time of loading.
pub const FILES: usize = 16;
