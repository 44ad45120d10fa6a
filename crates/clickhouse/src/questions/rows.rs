//! Which flows there were, one by one. Flows that were received in the same millisecond are in the order of collectors, of their
//! flushes, and of their places there.

use archive::scan::{MOST_ROWS, Place, RowQuestion, Rows, ScanError};
use columns::{Id, Row};
use flow::{FlushNumber, Timestamp, WriterId};

use super::TableScan;
use super::answer::{number, set, unreadable};
use super::expressions::{hour_of, key, number as number_of};
use super::parameters::Parameters;
use crate::table::{EPOCH, FLUSH, PART, ROW, WRITER};

/// What distinguishes flows of the same millisecond, in the order of answers.
const IDENTITY: [&str; 5] = [WRITER, EPOCH, FLUSH, PART, ROW];

/// Returns flows, one by one.
pub(super) fn answer(scan: &TableScan<'_>, question: &RowQuestion) -> Result<Rows, ScanError> {
    if !(1..=MOST_ROWS).contains(&question.most) {
        return Err(ScanError::Invalid(format!("{} rows: ask for 1 to {MOST_ROWS} at a time", question.most)));
    }
    let columns: Vec<_> = question.columns.iter().collect();
    let mut parameters = Parameters::default();
    let sql = statement(scan, question, &columns, &mut parameters);
    let found = scan.ask(&sql, &parameters)?;
    let mut rows = Vec::with_capacity(found.data.len().min(question.most));
    for texts in found.data.iter().take(question.most) {
        let (place, values) = texts.split_at_checked(IDENTITY.len() + 1).ok_or_else(other_columns)?;
        let mut row = Row::new();
        row.mark(question.columns);
        for (id, text) in columns.iter().zip(values) {
            set(&mut row, *id, text)?;
        }
        rows.push((place_of(place)?, row));
    }
    let has_more = found.data.len() > question.most;
    let next = rows.last().filter(|_| has_more).map(|(place, _)| *place);
    let read = scan.read(found.rows_read(), rows.len() as u64)?;
    Ok(Rows { rows, next, read })
}

fn statement(scan: &TableScan<'_>, question: &RowQuestion, columns: &[Id], parameters: &mut Parameters) -> String {
    let RowQuestion { filter, is_newest_first, after, most, .. } = question;
    let values = columns.iter().map(|id| key(archive::scan::Key::Column(*id), parameters)).collect::<Vec<_>>();
    let received = number_of(Id::Received);
    let place = [received.as_str()].into_iter().chain(IDENTITY);
    let selected = place.chain(values.iter().map(String::as_str)).map(|expression| format!("toString({expression})"));
    let selected: Vec<_> = selected.collect();
    let of_flows = scan.of_flows(&question.remaining(), filter, parameters);
    let (sign, direction) = if *is_newest_first { ("<", "DESC") } else { (">", "ASC") };
    let after = after.map(|place| {
        let Place { received: at, writer, first: FlushNumber { epoch, sequence }, row, .. } = place;
        let bound = [
            parameters.bind("Int64", at),
            parameters.bind("UInt64", writer.0),
            parameters.bind("UInt32", epoch),
            parameters.bind("UInt64", sequence),
            parameters.bind("UInt32", row >> u32::BITS),
            parameters.bind("UInt32", row as u32),
        ];
        format!(" AND ({received}, {}) {sign} ({})", IDENTITY.join(", "), bound.join(", "))
    });
    let time = Id::Received.column().clickhouse;
    let sorted: Vec<_> = [time].into_iter().chain(IDENTITY).map(|name| format!("{name} {direction}")).collect();
    // One more than is returned shows that there are more.
    let limit = parameters.bind("UInt64", most + 1);
    format!(
        "SELECT {} {of_flows}{} ORDER BY {} LIMIT {limit}",
        selected.join(", "),
        after.unwrap_or_default(),
        sorted.join(", ")
    )
}

/// The place of a flow: the flush is in the place of the file, and the part is the upper half of the row.
fn place_of(texts: &[String]) -> Result<Place, ScanError> {
    let [received, writer, epoch, flush, part, row] = texts else { return Err(other_columns()) };
    let narrow = |text: &String| u32::try_from(number(text)?).map_err(|_| unreadable("a number is too large"));
    let received = number(received)?;
    Ok(Place {
        received,
        hour: hour_of(Timestamp::from_milliseconds(received)),
        writer: WriterId(number(writer)?),
        first: FlushNumber { epoch: narrow(epoch)?, sequence: number(flush)? },
        row: u64::from(narrow(part)?) << u32::BITS | u64::from(narrow(row)?),
        is_by_host: false,
    })
}

fn other_columns() -> ScanError {
    unreadable("it has other columns")
}
