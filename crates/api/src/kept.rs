//! Which ranges of time can be answered: those whose ends do not divide intervals whose parts have expired. A sum of the
//! parts that are left would be too low, so it is refused.

use accounting::period::{Interval, Minute, PerPeriod, Period};
use accounting::range::Range;
use accounting::zone::Zone;

use crate::Api;
use crate::error::Error;
use crate::parameters::now;

/// What is kept of each period, for dates of a zone.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    zone: Zone,
    /// When this was so.
    pub(crate) now: Minute,
    /// The first minute whose counters are kept.
    since: PerPeriod<Minute>,
    /// Before which minute counters have expired, under whatever retention. It is no later than `since`.
    expired: PerPeriod<Minute>,
}

impl Api {
    /// What is kept now: by the settings, as far as it has not expired before, when retention was shorter.
    pub(crate) async fn kept(&self, zone: &Zone) -> Result<Kept, Error> {
        let expired = self.store.expired().await?;
        let now = now();
        let since = Period::ALL.map(|period| {
            let keep = self.keep[period].map(|keep| u32::try_from(keep.as_secs() / 60).unwrap_or(u32::MAX));
            keep.map_or(Minute::EPOCH, |minutes| now.saturating_sub(minutes)).max(expired[period])
        });
        Ok(Kept { zone: zone.clone(), now, since: PerPeriod::new(since), expired })
    }
}

impl Kept {
    /// What is kept of dates of UTC.
    #[cfg(test)]
    pub(crate) fn for_tests(now: Minute, since: PerPeriod<Minute>) -> Self {
        let expired = PerPeriod::new([Minute::EPOCH; Period::ALL.len()]);
        Self { zone: Zone::UTC, now, since, expired }
    }

    /// The first minute whose counters of a period are kept.
    pub(crate) fn since(&self, period: Period) -> Minute {
        self.since[period]
    }

    /// What counts of a date: of an interval of UTC that has expired nothing, because only flows that came late may be
    /// left of it.
    pub(crate) fn left_of(&self, period: Period, date: Range) -> Range {
        let has_expired = self.zone.is_utc() && date.from < self.expired[period];
        if has_expired { Range { to: date.from, ..date } } else { date }
    }

    /// A range of UTC whose ends before the time from which a period is kept are those of the next coarser one.
    fn widened(&self, Range { from, to }: Range, period: Period) -> String {
        let coarser = period.coarser().unwrap_or(period);
        let is_kept = |minute: Minute| minute >= self.since[period];
        let begin = Interval::containing(coarser, from).start;
        let last = Interval::containing(coarser, to.saturating_sub(1)).end();
        let (from, to) = (if is_kept(from) { from } else { begin }, if is_kept(to) { to } else { last });
        format!("{} to {}", self.zone.display(from), self.zone.display(to))
    }

    /// The number of intervals that make up a range, unless some of them have expired.
    pub(crate) fn intervals(&self, range: Range) -> Result<usize, Error> {
        let cover = range.cover();
        match cover.iter().find(|interval| interval.start < self.since[interval.period]) {
            None => Ok(cover.len()),
            Some(expired) => {
                let zone = &self.zone;
                let (period, since) = (expired.period, zone.display(self.since[expired.period]));
                let (name, coarser) = (period.name(), period.coarser().map_or("year", Period::name));
                let (range, instead) = if zone.is_utc() {
                    ("the range".to_owned(), format!("whole {coarser}s: {}", self.widened(range, expired.period)))
                } else {
                    let [from, to] = [range.from, range.to].map(|end| zone.display(end));
                    let setting = format!("retention.{name}s sets how long {name}s are kept");
                    (format!("{from} to {to} ({zone})"), format!("whole {coarser}s of UTC, without tz; {setting}"))
                };
                Err(Error::TooMuch(format!(
                    "{range} needs the {name} {expired} (UTC), but {name}s before {since} have expired: before that \
                     time, use {instead}"
                )))
            }
        }
    }
}
