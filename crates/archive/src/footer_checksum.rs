//! A checksum of what a footer states, which is in the footer itself: not of its octets, but of their meaning. Statistics, places
//! and Bloom filters decide which pages a question reads, so that damage there could leave out rows unnoticed.

use crc32fast::Hasher;
use parquet::file::metadata::{ColumnChunkMetaData, KeyValue, RowGroupMetaData};

/// The key of the checksum.
pub(crate) const KEY: &str = "netflow.footer";

/// The checksum of the groups of rows and of all that is stated beside them.
pub(crate) fn footer_checksum<'m>(
    groups: impl Iterator<Item = &'m RowGroupMetaData>,
    stated: impl Iterator<Item = &'m KeyValue>,
) -> String {
    let mut checksum = Hasher::new();
    for group in groups {
        checksum.update(&group.num_rows().to_le_bytes());
        group.columns().iter().for_each(|column| add_column(&mut checksum, column));
    }
    for KeyValue { key, value } in stated.filter(|stated| stated.key.starts_with("netflow.") && stated.key != KEY) {
        checksum.update(key.as_bytes());
        checksum.update(&[0]);
        checksum.update(value.as_deref().unwrap_or_default().as_bytes());
        checksum.update(&[0]);
    }
    format!("{:08x}", checksum.finalize())
}

fn add_column(checksum: &mut Hasher, column: &ColumnChunkMetaData) {
    let numbers = [
        column.num_values(),
        column.data_page_offset(),
        column.compressed_size(),
        column.bloom_filter_offset().unwrap_or_default(),
        column.bloom_filter_length().unwrap_or_default().into(),
    ];
    numbers.iter().for_each(|number| checksum.update(&number.to_le_bytes()));
    // Only texts have a dictionary.
    if let Some(offset) = column.dictionary_page_offset() {
        checksum.update(&offset.to_le_bytes());
    }
    let Some(statistics) = column.statistics() else { return };
    let nulls = statistics.null_count_opt().unwrap_or_default();
    checksum.update(&nulls.to_le_bytes());
    for bound in [statistics.min_bytes_opt(), statistics.max_bytes_opt()] {
        let bound = bound.unwrap_or_default();
        checksum.update(&(bound.len() as u64).to_le_bytes());
        checksum.update(bound);
    }
}
