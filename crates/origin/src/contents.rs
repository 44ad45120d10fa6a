//! What one file has, and which kind of file it is. The kind follows from the content, never from the name.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::error::{DOWNLOAD, Error, Fault, Place, quoted};
use crate::files::Stamp;
use crate::limits::{FILE_BYTES, NAMES, RANGES};
use crate::names::{Names, NamesBuilder};
use crate::origin::Origin;
use crate::pieces::{Address, Pieces, Range};
use crate::{mmdb, text};

/// A file after reading: the input of [`Table::new`](crate::Table::new).
#[derive(Clone, Debug)]
pub struct Contents {
    pub(crate) file: SourceFile,
    pub(crate) ipv4: Pieces<u32>,
    pub(crate) ipv6: Pieces<u128>,
    pub(crate) names: Names,
}

/// A file that a table is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFile {
    /// Where it is.
    pub path: PathBuf,
    /// What it is.
    pub kind: Kind,
    /// When a MaxMind database was built, by its own statement, in seconds since the Unix epoch.
    pub built: Option<u64>,
    /// When the file was last modified, in seconds since the Unix epoch; `None` for octets that are no file.
    pub modified: Option<u64>,
    /// How many ranges of IPv4 addresses it answers for. Neighbours with the same answer count once.
    pub ipv4_ranges: usize,
    /// The same for IPv6.
    pub ipv6_ranges: usize,
    /// How many AS it names.
    pub names: usize,
}

/// A kind of file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A MaxMind database with its type, such as `GeoLite2-ASN`.
    MaxMind(String),
    /// Lines of first address, last address, AS number, country, AS name, or of first address, last address, country; with
    /// tabs between them, as iptoasn.com has them.
    Ranges,
    /// Lines of AS number and AS name.
    Names,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MaxMind(database) => write!(f, "MaxMind database {database}"),
            Self::Ranges => f.write_str("ranges with tabs"),
            Self::Names => f.write_str("AS names"),
        }
    }
}

impl Contents {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// If the system does not read it, or its content is not usable.
    pub fn read(path: &Path) -> Result<Self, Error> {
        Self::read_with_stamp(path).1
    }

    /// Also what the file was before it was read, if there is one.
    pub(crate) fn read_with_stamp(path: &Path) -> (Option<Stamp>, Result<Self, Error>) {
        let mut stamp = None;
        let contents = read_all(path, &mut stamp).map_err(|source| Error::Unreadable { path: path.to_owned(), source });
        let mut contents = contents.and_then(|octets| Self::parse(path, &octets));
        if let (Ok(contents), Some(stamp)) = (&mut contents, stamp) {
            contents.file.modified = stamp.modified();
        }
        (stamp, contents)
    }

    /// The same for octets that have been read. The path is for messages and for [`SourceFile::path`].
    ///
    /// # Errors
    ///
    /// If the content is not usable.
    pub fn parse(path: &Path, octets: &[u8]) -> Result<Self, Error> {
        Self::parse_any(path, octets).map_err(|fault| fault.of(path))
    }

    fn parse_any(path: &Path, octets: &[u8]) -> Result<Self, Fault> {
        let mut collected = Collected::default();
        let (kind, built) = if mmdb::is_mmdb(octets) {
            mmdb::parse(octets, &mut collected)?
        } else {
            refuse_foreign(octets)?;
            (text::parse(octets, &mut collected)?, None)
        };
        let Collected { ipv4, ipv6, names } = collected;
        let (ipv4, ipv6, names) = (Pieces::new(ipv4), Pieces::new(ipv6), names.finish());
        let (ipv4_ranges, ipv6_ranges) = (ipv4.answers(), ipv6.answers());
        if kind == Kind::Names && names.len() == 0 {
            return Err(Fault::new(Place::Whole, "it names no AS", DOWNLOAD));
        }
        if kind != Kind::Names && ipv4_ranges + ipv6_ranges == 0 {
            let fix = "use a file such as GeoLite2-ASN, GeoLite2-Country, IPinfo Lite or ip2asn";
            return Err(Fault::new(Place::Whole, "it has neither an AS number nor a country of any address", fix));
        }
        let modified = None;
        let file =
            SourceFile { path: path.to_owned(), kind, built, modified, ipv4_ranges, ipv6_ranges, names: names.len() };
        Ok(Self { file, ipv4, ipv6, names })
    }

    /// The file.
    #[must_use]
    pub fn file(&self) -> &SourceFile {
        &self.file
    }
}

/// What has been read of a file.
#[derive(Debug, Default)]
pub(crate) struct Collected {
    pub(crate) ipv4: Vec<Range<u32>>,
    pub(crate) ipv6: Vec<Range<u128>>,
    pub(crate) names: NamesBuilder,
}

impl Collected {
    pub(crate) fn add_ipv4(&mut self, first: u32, last: u32, origin: Origin, place: Place) -> Result<(), Fault> {
        push(&mut self.ipv4, Range { first, last, origin }, place)
    }

    pub(crate) fn add_ipv6(&mut self, first: u128, last: u128, origin: Origin, place: Place) -> Result<(), Fault> {
        push(&mut self.ipv6, Range { first, last, origin }, place)
    }

    pub(crate) fn add_name(&mut self, asn: u32, name: &str, place: Place) -> Result<(), Fault> {
        self.names
            .add(asn, name)
            .map_err(|_| Fault::new(place, format!("more than {} AS names", NAMES), "use a smaller file"))
    }
}

/// Adds a range, up to the limit.
pub(crate) fn push<A: Address>(ranges: &mut Vec<Range<A>>, range: Range<A>, place: Place) -> Result<(), Fault> {
    if ranges.len() == RANGES {
        return Err(Fault::new(place, format!("more than {RANGES} ranges"), "use a smaller file"));
    }
    ranges.push(range);
    Ok(())
}

/// Reads a regular file up to the limit. A pipe would block the caller, and a device might never end.
fn read_all(path: &Path, stamp: &mut Option<Stamp>) -> io::Result<Vec<u8>> {
    let metadata = fs::metadata(path)?;
    *stamp = Some(Stamp::of(&metadata));
    if !metadata.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file; name the file itself"));
    }
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    *stamp = Some(Stamp::of(&metadata));
    if metadata.len() > FILE_BYTES {
        return Err(too_large());
    }
    let mut octets = Vec::new();
    (&file).take(FILE_BYTES + 1).read_to_end(&mut octets)?;
    if octets.len() as u64 > FILE_BYTES {
        return Err(too_large());
    }
    if *stamp != Some(Stamp::of(&file.metadata()?)) {
        let problem = "it changed while it was read; write a new file beside it and rename that";
        return Err(io::Error::new(io::ErrorKind::Interrupted, problem));
    }
    Ok(octets)
}

fn too_large() -> io::Error {
    let problem = format!("larger than {} MiB; use a database of AS numbers or countries only", FILE_BYTES >> 20);
    io::Error::new(io::ErrorKind::FileTooLarge, problem)
}

/// Names what people download instead of a data file.
fn refuse_foreign(octets: &[u8]) -> Result<(), Fault> {
    const GUNZIP: &str = "unpack it with gunzip, or with tar xzf if it is an archive, and name the data file";
    const UNPACK: &str = "unpack it and name the data file";
    const PACKED: [(&[u8], &str, &str); 5] = [
        (b"\x1f\x8b", "it is compressed with gzip", GUNZIP),
        (b"PK\x03\x04", "it is a zip archive", UNPACK),
        (b"\x28\xb5\x2f\xfd", "it is compressed with zstd", UNPACK),
        (b"\xfd7zXZ\0", "it is compressed with xz", UNPACK),
        (b"BZh", "it is compressed with bzip2", UNPACK),
    ];
    for (magic, problem, fix) in PACKED {
        if octets.starts_with(magic) {
            return Err(Fault::new(Place::Whole, problem, fix));
        }
    }
    // POSIX.1, ustar: the magic of the first header.
    if octets.get(257..262) == Some(b"ustar") {
        return Err(Fault::new(Place::Whole, "it is a tar archive", "unpack it with tar xf and name the data file"));
    }
    if octets.trim_ascii_start().starts_with(b"<") {
        return Err(Fault::new(Place::Whole, "it is a web page", DOWNLOAD));
    }
    if octets.trim_ascii().is_empty() {
        return Err(Fault::new(Place::Whole, "it is empty", DOWNLOAD));
    }
    if let Some(offset) = octets.iter().position(|octet| *octet == 0) {
        let start = quoted(octets.get(..16).unwrap_or(octets));
        let problem = format!("it is neither a text nor a complete MaxMind database (it begins with {start})");
        return Err(Fault::new(Place::Offset(offset), problem, DOWNLOAD));
    }
    Ok(())
}
