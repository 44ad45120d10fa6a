//! What is summed: rows, octets, packets and flows, with or without the sampling rate.

use columns::{Columns, Id, Values};
use filter::ColumnValues;

use super::group_table::Amounts;

/// Which counters are summed, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    /// Octets of both directions.
    pub bytes: bool,
    /// Packets of both directions.
    pub packets: bool,
    /// Flows.
    pub flows: bool,
    /// Octets and packets are multiplied by the sampling rate, and flows by that of flows. Otherwise counters are as the
    /// exporter sent them.
    pub is_scaled: bool,
}

/// Before its counters are added.
const ONE_ROW: Amounts = [1, 0, 0, 0];
/// Which of the amounts is which.
const BYTES: usize = 1;
const PACKETS: usize = 2;
const FLOWS: usize = 3;

impl Counted {
    /// All counters, multiplied by the sampling rate.
    pub const SCALED: Self = Self { bytes: true, packets: true, flows: true, is_scaled: true };
    /// All counters as they were sent.
    pub const AS_SENT: Self = Self { is_scaled: false, ..Self::SCALED };

    /// The columns that it reads.
    pub(crate) fn columns(self) -> Columns {
        let mut columns = Columns::NONE;
        let mut add = |is_read: bool, ids: &[Id]| {
            if is_read {
                ids.iter().for_each(|id| columns.add(*id));
            }
        };
        add(self.bytes, &[Id::Bytes, Id::RevBytes]);
        add(self.packets, &[Id::Packets, Id::RevPackets]);
        add(self.flows, &[Id::Flows]);
        add(self.is_scaled && (self.bytes || self.packets), &[Id::Rate]);
        add(self.is_scaled && self.flows, &[Id::FlowRate]);
        columns
    }

    /// The amounts of rows, in their order. One that is not counted is 0.
    pub(crate) fn fill(self, columns: &impl ColumnValues, rows: &[u32], amounts: &mut Vec<Amounts>) {
        amounts.clear();
        amounts.resize(rows.len(), ONE_ROW);
        if self.bytes {
            self.sum(columns, rows, amounts, BYTES, &[Id::Bytes, Id::RevBytes], Id::Rate);
        }
        if self.packets {
            self.sum(columns, rows, amounts, PACKETS, &[Id::Packets, Id::RevPackets], Id::Rate);
        }
        if self.flows {
            self.sum(columns, rows, amounts, FLOWS, &[Id::Flows], Id::FlowRate);
        }
    }

    /// Adds columns to an amount, and multiplies it by a rate if that is asked for.
    fn sum(
        self,
        columns: &impl ColumnValues,
        rows: &[u32],
        amounts: &mut [Amounts],
        index: usize,
        ids: &[Id],
        rate: Id,
    ) {
        for id in ids {
            combine(columns.values(*id), rows, amounts, index, u64::saturating_add);
        }
        if self.is_scaled {
            // A rate of 0 is an unknown one.
            combine(columns.values(rate), rows, amounts, index, |amount, rate| amount.saturating_mul(rate.max(1)));
        }
    }
}

/// Changes an amount of each row by its value. If all values are 0, that would change nothing.
#[inline]
fn combine(values: &Values, rows: &[u32], amounts: &mut [Amounts], index: usize, change: impl Fn(u64, u64) -> u64) {
    match values {
        Values::U8(values) => combine_each(values, rows, amounts, index, change),
        Values::U16(values) => combine_each(values, rows, amounts, index, change),
        Values::U32(values) => combine_each(values, rows, amounts, index, change),
        Values::U64(values) => combine_each(values, rows, amounts, index, change),
        Values::Addresses(_) | Values::Texts(_) => {}
    }
}

#[inline]
fn combine_each<T: Copy + Default + Into<u64>>(
    values: &[T],
    rows: &[u32],
    amounts: &mut [Amounts],
    index: usize,
    change: impl Fn(u64, u64) -> u64,
) {
    if values.is_empty() {
        return;
    }
    for (row, amounts) in rows.iter().zip(amounts) {
        let value = values.get(*row as usize).copied().unwrap_or_default().into();
        if let Some(amount) = amounts.get_mut(index) {
            *amount = change(*amount, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use columns::{Batch, Row};

    use super::*;

    fn amounts(counted: Counted, values: &[(Id, u64)]) -> Amounts {
        let (mut batch, mut row) = (Batch::new(), Row::new());
        batch.push(&Row::new());
        values.iter().for_each(|(id, number)| row.set(*id, *number));
        batch.push(&row);
        batch.fill();
        let mut amounts = Vec::new();
        counted.fill(&batch, &[1], &mut amounts);
        amounts[0]
    }

    #[test]
    fn counters_are_of_both_directions_and_multiplied_by_their_rate() {
        let values = [
            (Id::Bytes, 1000),
            (Id::RevBytes, 500),
            (Id::Packets, 2),
            (Id::RevPackets, 1),
            (Id::Flows, 1),
            (Id::Rate, 200),
            (Id::FlowRate, 20),
        ];
        assert_eq!(amounts(Counted::AS_SENT, &values), [1, 1500, 3, 1]);
        assert_eq!(amounts(Counted::SCALED, &values), [1, 300_000, 600, 20]);
        let flows = Counted { bytes: false, packets: false, ..Counted::SCALED };
        assert_eq!(amounts(flows, &values), [1, 0, 0, 20]);
        assert_eq!(flows.columns().iter().collect::<Vec<_>>(), [Id::Flows, Id::FlowRate]);
    }

    #[test]
    fn unknown_rates_and_large_counters_do_no_harm() {
        assert_eq!(amounts(Counted::SCALED, &[(Id::Bytes, 7), (Id::Flows, 1)]), [1, 7, 0, 1]);
        let largest = [(Id::Bytes, u64::MAX), (Id::RevBytes, 1), (Id::Rate, u64::from(u32::MAX))];
        assert_eq!(amounts(Counted::SCALED, &largest), [1, u64::MAX, 0, 0]);
    }
}
