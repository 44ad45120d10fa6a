//! What was counted, as rows: for each interval of a period, sender and prefix the counters of all writers together,
//! whatever is rolled up already. All rows of an interval are of one moment (`snapshot`), and those of one sender's prefix
//! are in memory at a time.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use accounting::block::TableSet;
use accounting::direction::Direction;
use accounting::field::{Field, Name};
use accounting::period::{Interval, Minute, Period};
use accounting::presence;
use accounting::variance::SamplingVariance;
use flow::{Counters, Prefix};

use crate::batches::Group;
use crate::snapshot::{Listed, Snapshot};
use crate::{Answers, Question, Store, StoreError, Totals};

/// What is to be exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// Intervals of this period.
    pub period: Period,
    /// They start at or after this minute,
    pub from: Minute,
    /// and before this one.
    pub before: Minute,
    /// Of this sender alone.
    pub sender: Option<IpAddr>,
    /// Of exactly this prefix alone; `None` for all monitored prefixes.
    pub prefix: Option<Prefix>,
}

/// What one prefix of a sender counted in an interval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exported {
    /// The interval.
    pub interval: Interval,
    /// The sender.
    pub sender: IpAddr,
    /// Its prefix.
    pub prefix: Prefix,
    /// What was counted, and which blocks could not be read.
    pub totals: Totals,
}

/// One counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExportedRow {
    /// The direction.
    pub direction: Direction,
    /// Its name.
    pub name: RowName,
    /// What it counts.
    pub counters: Counters,
    /// For `all`: how far sampled flows in it may be off; `None` for other names, and where it is not known.
    pub variance: Option<SamplingVariance>,
}

/// What a row counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowName {
    /// One name.
    Name(Name),
    /// The part of a field without names, because a limit folded it or the field was not counted. Shown as `srcip:other`.
    Other(Field),
}

/// An export that is under way.
pub struct Export<'s> {
    store: &'s dyn Store,
    request: Request,
    /// Intervals from here on are still to come,
    from: Minute,
    /// and these groups of the one before it.
    groups: Option<(Interval, Snapshot, std::vec::IntoIter<Group>)>,
}

impl<'s> Export<'s> {
    /// Nothing is read before it is asked for.
    pub fn new(store: &'s dyn Store, request: Request) -> Self {
        Self { store, request, from: request.from, groups: None }
    }

    /// The next result, in the order of intervals, then of senders and prefixes; `None` after the last one.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn next(&mut self) -> Result<Option<Exported>, StoreError> {
        loop {
            if let Some((interval, moment, groups)) = &mut self.groups
                && let Some((sender, prefix)) = groups.next()
            {
                let interval = *interval;
                let question = Question { range: interval.into(), sender, prefix, tables: TableSet::COUNTED };
                let mut answers = Answers::at(moment.clone(), vec![question]);
                let totals = answers.all(self.store).await?.pop().unwrap_or_default();
                if totals.tables.is_empty() && totals.damaged.is_empty() {
                    continue;
                }
                return Ok(Some(Exported { interval, sender, prefix, totals }));
            }
            let moment = Snapshot::take(self.store).await?;
            let Some(interval) = self.next_interval(&moment).await? else { return Ok(None) };
            self.from = interval.end();
            let groups = self.groups_of(interval, &moment).await?;
            self.groups = Some((interval, moment, groups.into_iter()));
        }
    }

    /// The next interval in which anything may have been counted.
    async fn next_interval(&self, moment: &Snapshot) -> Result<Option<Interval>, StoreError> {
        let Request { period, before, .. } = self.request;
        // The interval that contains the minute may have started before it.
        let at = Interval::containing(period, self.from);
        let from = if at.start < self.from { at.end() } else { at.start };
        let mut next: Option<Interval> = None;
        for state in moment.states() {
            for finer in Period::ALL.into_iter().filter(|finer| *finer <= period) {
                let first = self.store.first_interval(state.writer, finer, from).await?;
                let first = first.map(|first| Interval::containing(period, first.start));
                next = next.into_iter().chain(first).min();
            }
        }
        Ok(next.filter(|next| next.start >= from && next.start < before))
    }

    /// The groups that anybody counted for in an interval.
    async fn groups_of(&self, interval: Interval, moment: &Snapshot) -> Result<Vec<Group>, StoreError> {
        let mut groups: BTreeSet<Group> = BTreeSet::new();
        let listed = Listed::read(self.store, moment, std::iter::once(interval.into())).await?;
        for state in moment.states() {
            for part in listed.covering(interval.into(), state) {
                groups.extend(self.store.groups(state.writer, part).await?);
            }
        }
        let Request { sender, prefix, .. } = self.request;
        let is_asked_for = |prefix_of_group| match prefix {
            Some(only) => prefix_of_group == only,
            None => prefix_of_group != presence::PREFIX,
        };
        let wanted = |group: &Group| sender.is_none_or(|only| group.0 == only) && is_asked_for(group.1);
        Ok(groups.into_iter().filter(wanted).collect())
    }
}

impl Exported {
    /// Its counters: by field, then by direction and value, and after the values of a field the rest that was folded.
    pub fn rows(&self) -> impl Iterator<Item = ExportedRow> + '_ {
        let tables = &self.totals.tables;
        Field::ALL.into_iter().filter(|field| tables.has(*field)).flat_map(move |field| {
            let names = tables.rows_of(field);
            let names = names.map(move |(direction, name, counters)| {
                let about = tables.about_all(direction);
                let variance = (field == Field::All && !about.variance_is_partial).then_some(about.variance);
                ExportedRow { direction, name: RowName::Name(name), counters, variance }
            });
            let folded = Direction::ALL.into_iter().filter(move |direction| tables.is_partial(*direction, field));
            names.chain(folded.map(move |direction| ExportedRow {
                direction,
                name: RowName::Other(field),
                counters: tables.unnamed(direction, field),
                variance: None,
            }))
        })
    }
}

impl fmt::Display for RowName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => name.fmt(f),
            Self::Other(field) => write!(f, "{}:other", field.name()),
        }
    }
}

#[cfg(test)]
mod tests;
