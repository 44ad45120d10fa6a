//! Which ranges of time can be answered: those whose ends do not divide intervals whose parts have expired. A sum of the
//! parts that are left would be too low, so it is refused.

use accounting::period::{Minute, PerPeriod, Period};
use accounting::range::Range;
use accounting::zone::Zone;

use crate::Api;
use crate::error::Error;
use crate::parameters::now;

/// Since when counters of each period are kept.
#[derive(Clone, Copy)]
pub(crate) struct Kept(PerPeriod<Minute>);

impl Api {
    /// The first minute whose counters of a period are kept, by the settings.
    pub(crate) fn kept_since(&self, period: Period, now: Minute) -> Minute {
        let Some(keep) = self.keep[period] else { return Minute::EPOCH };
        now.saturating_sub(u32::try_from(keep.as_secs() / 60).unwrap_or(u32::MAX))
    }

    /// Since when counters are kept: by the settings, and for dates of a zone also by what the store has. These need hours
    /// of times for which only days may be left, because retention was shorter before.
    pub(crate) async fn kept(&self, zone: &Zone) -> Result<Kept, Error> {
        let now = now();
        let mut kept = PerPeriod::new(Period::ALL.map(|period| self.kept_since(period, now)));
        for period in Period::ALL.into_iter().filter(|_| !zone.is_utc()) {
            kept[period] = storage::kept_since(&*self.store, period, kept[period]).await?;
        }
        Ok(Kept(kept))
    }
}

impl Kept {
    /// The first minute whose counters of a period are kept.
    pub(crate) fn since(&self, period: Period) -> Minute {
        self.0[period]
    }

    /// The number of intervals that make up a range, unless some of them have expired.
    pub(crate) fn intervals(&self, range: Range, zone: &Zone) -> Result<usize, Error> {
        let cover = range.cover();
        match cover.iter().find(|interval| interval.start < self.0[interval.period]) {
            None => Ok(cover.len()),
            Some(expired) => {
                let (period, since) = (expired.period, zone.display(self.0[expired.period]));
                let (name, coarser) = (period.name(), period.coarser().map_or("year", Period::name));
                let (range, instead) = if zone.is_utc() {
                    ("the range".to_owned(), format!("whole {coarser}s"))
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
