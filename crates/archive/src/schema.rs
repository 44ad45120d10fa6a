//! The columns of a file.

use std::sync::Arc;

use columns::{Id, Leaf, Logical, Physical};
use parquet::basic::{LogicalType, Repetition, TimeUnit, Type as PhysicalType};
use parquet::errors::ParquetError;
use parquet::schema::types::{Type, TypePtr};

/// The columns of a file: those of the table, in its order. A column of addresses becomes two.
///
/// # Errors
/// None for a table whose names are valid.
pub fn schema() -> Result<TypePtr, ParquetError> {
    schema_of(&Id::ALL)
}

/// Some of them, in their order.
pub(crate) fn schema_of(ids: &[Id]) -> Result<TypePtr, ParquetError> {
    let columns = ids.iter().map(|id| id.column());
    let leaves = columns.flat_map(|column| column.kind.leaves().iter().map(|leaf| (column.name, leaf)));
    let fields = leaves.map(|(name, leaf)| field(name, leaf)).collect::<Result<_, _>>()?;
    Ok(Arc::new(Type::group_type_builder("flow").with_fields(fields).build()?))
}

fn field(name: &str, leaf: &Leaf) -> Result<TypePtr, ParquetError> {
    let physical = match leaf.physical {
        Physical::Int32 => PhysicalType::INT32,
        Physical::Int64 => PhysicalType::INT64,
        Physical::Fixed16 => PhysicalType::FIXED_LEN_BYTE_ARRAY,
        Physical::ByteArray => PhysicalType::BYTE_ARRAY,
    };
    let logical = match leaf.logical {
        Logical::None => None,
        Logical::Unsigned(bits) => Some(LogicalType::integer(bits.cast_signed(), false)),
        Logical::Text => Some(LogicalType::String),
        Logical::Milliseconds => Some(LogicalType::timestamp(true, TimeUnit::MILLIS)),
    };
    let name = format!("{name}{}", leaf.suffix);
    let field = Type::primitive_type_builder(&name, physical)
        .with_repetition(if leaf.optional { Repetition::OPTIONAL } else { Repetition::REQUIRED })
        .with_logical_type(logical)
        .with_length(if leaf.physical == Physical::Fixed16 { 16 } else { -1 });
    Ok(Arc::new(field.build()?))
}
