//! Points in time, in UTC. Nothing here reads a clock.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Nanoseconds since the Unix epoch, UTC. Reaches to the year 2554, beyond every 32-bit wrap of an export protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp(u64);

const NANOSECONDS_PER_SECOND: u64 = 1_000_000_000;

impl Timestamp {
    /// The Unix epoch.
    pub const EPOCH: Self = Self(0);

    /// From nanoseconds since the epoch.
    #[must_use]
    pub const fn from_nanoseconds(nanoseconds: u64) -> Self {
        Self(nanoseconds)
    }

    /// From milliseconds since the epoch; saturates in the year 2554.
    #[must_use]
    pub const fn from_milliseconds(milliseconds: u64) -> Self {
        Self(milliseconds.saturating_mul(1_000_000))
    }

    /// From whole seconds since the epoch; saturates in the year 2554.
    #[must_use]
    pub const fn from_seconds(seconds: u64) -> Self {
        Self(seconds.saturating_mul(NANOSECONDS_PER_SECOND))
    }

    /// From seconds and nanoseconds since the epoch, as NetFlow headers carry them.
    #[must_use]
    pub const fn new(seconds: u64, nanoseconds: u32) -> Self {
        Self(seconds.saturating_mul(NANOSECONDS_PER_SECOND).saturating_add(nanoseconds as u64))
    }

    /// Nanoseconds since the epoch.
    #[must_use]
    pub const fn nanoseconds(self) -> u64 {
        self.0
    }

    /// Whole milliseconds since the epoch.
    #[must_use]
    pub const fn milliseconds(self) -> u64 {
        self.0 / 1_000_000
    }

    /// Whole seconds since the epoch.
    #[must_use]
    pub const fn seconds(self) -> u64 {
        self.0 / NANOSECONDS_PER_SECOND
    }

    /// The distance between two points in time, in either order.
    #[must_use]
    pub const fn abs_diff(self, other: Self) -> Duration {
        Duration::from_nanos(self.0.abs_diff(other.0))
    }

    /// Whether two points in time are at most this far apart. Does not divide, because it runs for every flow.
    #[must_use]
    pub const fn is_within(self, distance: Duration, of: Self) -> bool {
        self.0.abs_diff(of.0) as u128 <= distance.as_nanos()
    }

    /// This point in time moved back; stops at the epoch.
    #[must_use]
    pub fn saturating_sub(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(u64::try_from(by.as_nanos()).unwrap_or(u64::MAX)))
    }

    /// This point in time moved forward; stops in the year 2554.
    #[must_use]
    pub fn saturating_add(self, by: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(by.as_nanos()).unwrap_or(u64::MAX)))
    }
}

impl From<SystemTime> for Timestamp {
    /// A clock set before 1970 reads as the epoch.
    fn from(time: SystemTime) -> Self {
        Self::EPOCH.saturating_add(time.duration_since(UNIX_EPOCH).unwrap_or_default())
    }
}

/// RFC 3339 in UTC, with 0, 3, 6 or 9 fractional digits: the fewest that are exact.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = jiff::Timestamp::from_nanosecond(i128::from(self.0)).map_err(|_| fmt::Error)?;
        let precision = match self.0 {
            n if n.is_multiple_of(NANOSECONDS_PER_SECOND) => 0,
            n if n.is_multiple_of(1_000_000) => 3,
            n if n.is_multiple_of(1_000) => 6,
            _ => 9,
        };
        write!(f, "{time:.precision$}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_shows_as_rfc_3339_with_the_digits_it_needs() {
        assert_eq!(Timestamp::new(0, 0).to_string(), "1970-01-01T00:00:00Z");
        assert_eq!(Timestamp::new(1_391_317_260, 5_000_000).to_string(), "2014-02-02T05:01:00.005Z");
        assert_eq!(Timestamp::new(4_294_967_296, 1_000).to_string(), "2106-02-07T06:28:16.000001Z");
        assert_eq!(Timestamp::new(1, 1).to_string(), "1970-01-01T00:00:01.000000001Z");
        assert_eq!(Timestamp::from_nanoseconds(u64::MAX).to_string(), "2554-07-21T23:34:33.709551615Z");
    }

    #[test]
    fn arithmetic_stops_at_the_ends() {
        assert_eq!(Timestamp::from_seconds(1).saturating_sub(Duration::from_secs(2)), Timestamp::EPOCH);
        assert_eq!(Timestamp::from_seconds(u64::MAX).nanoseconds(), u64::MAX);
        let [seven, nine] = [7, 9].map(Timestamp::from_seconds);
        assert!(seven.is_within(Duration::from_secs(2), nine) && nine.is_within(Duration::from_secs(2), seven));
        assert!(!seven.is_within(Duration::from_nanos(1_999_999_999), nine));
        assert_eq!(Timestamp::from_seconds(7).abs_diff(Timestamp::from_seconds(9)), Duration::from_secs(2));
    }
}
