//! What all stores do alike with the selections of a read: each place is asked once, however often it was named.

use std::collections::BTreeMap;

use accounting::block::TableSet;

use crate::Selection;

/// The same selections with each (interval, sender, prefix) once, asking for all of its tables at once; sorted by
/// period and start, so that a store reads forward.
pub(crate) fn merged(selections: &[Selection]) -> Vec<Selection> {
    let mut places = BTreeMap::new();
    for selection in selections {
        let place = (selection.interval, selection.sender, selection.prefix);
        let tables = places.entry(place).or_insert(TableSet::EMPTY);
        *tables = tables.union(selection.tables);
    }
    places
        .into_iter()
        .map(|((interval, sender, prefix), tables)| Selection { interval, sender, prefix, tables })
        .collect()
}
