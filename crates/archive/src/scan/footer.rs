//! Checks the form of a footer before `parquet` reads it: what that reserves and how deep it descends depends on numbers in the
//! footer. A forged one could make it reserve gigabytes or exhaust the stack, which ends the process.
//!
//! The meaning of the fields is in parquet.thrift (github.com/apache/parquet-format).

use super::part::Unusable;
use super::thrift::{I32, LIST, STRUCT, Structure};

/// The octets of a footer at most. One of 256 MiB of rows has a few hundred thousand.
pub(crate) const LONGEST: u32 = 4 << 20;
/// The columns of all groups of rows at most. The usual ones have some thousand.
const MOST_CHUNKS: usize = 1 << 16;

/// Fields of the outermost structure.
const SCHEMA: i64 = 2;
const ROW_GROUPS: i64 = 4;
/// The field of an element of the schema that only those have that have others in them.
const NUM_CHILDREN: i64 = 5;

/// Checks that a footer is of the form that the writer gives it.
pub(crate) fn check(octets: &[u8]) -> Result<(), Unusable> {
    let mut footer = Footer(Structure::new(octets));
    footer.file().ok_or_else(|| Unusable::File("its footer is damaged, or is not as netflow writes it".to_owned()))
}

/// What is not read yet of a footer.
struct Footer<'o>(Structure<'o>);

impl Footer<'_> {
    fn file(&mut self) -> Option<()> {
        let (mut columns, mut groups, mut last) = (0, 0, 0);
        while let Some((id, of)) = self.0.field(last)? {
            match (id, of) {
                (SCHEMA, LIST) => columns = self.schema()?.max(columns),
                (ROW_GROUPS, LIST) => {
                    let (count, of) = self.0.list()?;
                    groups += count;
                    (0..count).try_for_each(|_| self.0.skip(of, 1))?;
                }
                _ => self.0.skip(of, 0)?,
            }
            last = id;
        }
        (columns * groups <= MOST_CHUNKS).then_some(())
    }

    /// Returns how many columns there are: they are all elements but the first one, which has them in it.
    fn schema(&mut self) -> Option<usize> {
        let (count, of) = self.0.list()?;
        let columns = count.checked_sub(1)?;
        for element in 0..count {
            let (mut children, mut last) = (0, 0);
            if of != STRUCT {
                return None;
            }
            while let Some((id, of)) = self.0.field(last)? {
                match (id, of) {
                    (NUM_CHILDREN, I32) => children = usize::try_from(self.0.integer()?).ok()?,
                    (NUM_CHILDREN, _) => return None,
                    _ => self.0.skip(of, 1)?,
                }
                last = id;
            }
            let expected = if element == 0 { columns } else { 0 };
            if children != expected {
                return None;
            }
        }
        Some(columns)
    }
}

#[cfg(test)]
mod tests {
    use super::super::thrift::{BINARY, END, TRUE};
    use super::*;

    fn is_refused(footer: &[u8]) -> bool {
        check(footer).is_err()
    }

    /// A footer with this schema and nothing else.
    fn of_schema(elements: &[&[u8]]) -> Vec<u8> {
        let list = [2 << 4 | LIST, (elements.len() as u8) << 4 | STRUCT];
        [&list[..], &elements.concat(), &[END]].concat()
    }

    #[test]
    fn a_schema_has_one_level() {
        // The name is field 4, the number of children field 5.
        let leaf: &[u8] = &[4 << 4 | BINARY, 1, b'a', END];
        let root = |children: u8| [4 << 4 | BINARY, 1, b'r', 1 << 4 | I32, children * 2, END];
        assert!(!is_refused(&of_schema(&[&root(2), leaf, leaf])));
        assert!(is_refused(&of_schema(&[&root(3), leaf, leaf])));
        assert!(is_refused(&of_schema(&[&root(2), &root(1), leaf])));
        // 2^31 - 1 children, for which 16 GiB would be reserved.
        let many = [5 << 4 | I32, 0xfe, 0xff, 0xff, 0xff, 0x0f, END];
        assert!(is_refused(&of_schema(&[&many, leaf])));
        assert!(is_refused(&of_schema(&[])));
    }

    #[test]
    fn lists_are_no_longer_than_what_follows() {
        let list = |count: &[u8], of: u8| [&[9 << 4 | LIST, 0xf0 | of], count, &[END; 20]].concat();
        assert!(!is_refused(&list(&[16], STRUCT)));
        assert!(is_refused(&list(&[22], STRUCT)));
        assert!(is_refused(&list(&[0xff, 0xff, 0xff, 0xff, 0x07], STRUCT)));
        assert!(is_refused(&list(&[16], TRUE)), "they would take no octets");
    }

    #[test]
    fn structures_are_not_deep() {
        let nested = |depth: usize| [vec![9 << 4 | STRUCT; depth], vec![END; depth + 1]].concat();
        assert!(!is_refused(&nested(6)));
        assert!(is_refused(&nested(10)));
        let lists = |depth: usize| [&[9 << 4 | LIST][..], &vec![1 << 4 | LIST; depth], &[END; 2]].concat();
        assert!(!is_refused(&lists(5)));
        assert!(is_refused(&lists(100_000)));
    }

    #[test]
    fn the_columns_of_all_groups_are_not_many() {
        let leaf: &[u8] = &[END];
        let mut footer =
            of_schema(&[&[5 << 4 | I32, 2 * 14, END], leaf, leaf, leaf, leaf, leaf, leaf, leaf, leaf, leaf, leaf]);
        assert!(is_refused(&footer), "10 columns, of which 14 are stated");
        footer = of_schema(&[&[5 << 4 | I32, 2 * 10, END], leaf, leaf, leaf, leaf, leaf, leaf, leaf, leaf, leaf, leaf]);
        footer.pop();
        let groups = |count: u16| {
            let count = [count as u8 | 0x80, (count >> 7) as u8 | 0x80, (count >> 14) as u8];
            [&footer[..], &[2 << 4 | LIST, 0xf0 | STRUCT], &count, &vec![END; 10_000]].concat()
        };
        assert!(!is_refused(&groups(6000)));
        assert!(is_refused(&groups(7000)));
    }

    #[test]
    fn footers_that_end_early_are_refused() {
        let whole = of_schema(&[&[5 << 4 | I32, 2, END], &[4 << 4 | BINARY, 2, b'a', b'b', END]]);
        assert!(!is_refused(&whole));
        assert!((0..whole.len()).all(|length| is_refused(&whole[..length])));
    }
}
