//! The journal's disk. What was written and not synced may be lost with the power, whole or in sectors; so may names of
//! files that were made, and files that were removed may be there again. Calls fail as planned.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, Cursor, ErrorKind, Read};
use std::panic::resume_unwind;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use journal::disk::{Disk, File};

use crate::random::Random;

/// What is written in one piece or not at all.
const SECTOR: usize = 512;

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It does what it should.
    None,
    /// It fails with this kind of error.
    Error(ErrorKind),
    /// A write takes, or a read gives, only a part.
    Short,
    /// The process that makes it is killed before it has any effect.
    Kill,
}

/// What a process unwinds with that was killed.
#[derive(Debug)]
pub struct Killed;

/// A disk that outlives the processes that use it; clones are the same disk.
#[derive(Clone, Debug, Default)]
pub struct SimulatedDisk(Arc<Mutex<Platter>>);

#[derive(Debug, Default)]
struct Platter {
    files: BTreeMap<String, Content>,
    /// Removed, and perhaps there again after a loss of power.
    removed: BTreeMap<String, Content>,
    /// New names of files, and the old ones, which they perhaps have again after a loss of power.
    renamed: BTreeMap<String, String>,
    plan: VecDeque<Fault>,
    /// What becomes of the call with this number, from 1, whatever is planned.
    nth: Option<(u64, Fault)>,
    /// How many were made.
    calls: u64,
    /// Calls do what they should, and are not counted.
    is_spared: bool,
    /// Until further notice, every call that the plan does not decide.
    constant: Option<ErrorKind>,
}

#[derive(Clone, Debug, Default)]
struct Content {
    octets: Vec<u8>,
    /// As many octets are durable.
    synced: usize,
    /// Whether the name is durable.
    is_named: bool,
    /// Whether a sync failed: no later one makes durable what that one was to (fsync(2)).
    is_spoilt: bool,
}

impl SimulatedDisk {
    /// A disk at whose n-th call, from 1, this happens.
    #[must_use]
    pub fn failing_at(nth: u64, fault: Fault) -> Self {
        Self(Arc::new(Mutex::new(Platter { nth: Some((nth, fault)), ..Platter::default() })))
    }

    /// How many calls there were.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.lock().calls
    }

    /// Whether nothing fails until further notice, whatever is planned.
    pub fn spare(&self, is_spared: bool) {
        self.lock().is_spared = is_spared;
    }

    /// Whether all that was written outlives a loss of power.
    #[must_use]
    pub fn is_synced(&self) -> bool {
        let is_sure = |content: &Content| content.is_named && content.synced == content.octets.len();
        self.lock().files.values().all(|content| content.octets.is_empty() || is_sure(content))
    }

    fn lock(&self) -> MutexGuard<'_, Platter> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets the outcomes of the next calls, and drops earlier plans.
    pub fn plan(&self, faults: impl IntoIterator<Item = Fault>) {
        self.lock().plan = faults.into_iter().collect();
    }

    /// Sets the outcome of all calls without a plan; `None` is success.
    pub fn fail_always(&self, with: Option<ErrorKind>) {
        self.lock().constant = with;
    }

    /// Flips a bit of a file, and returns where.
    pub fn flip(&self, random: &mut Random) -> Option<String> {
        let mut platter = self.lock();
        let mut files: Vec<_> = platter.files.iter_mut().filter(|(_, content)| !content.octets.is_empty()).collect();
        let index = random.below(files.len().max(1) as u64) as usize;
        let (name, content) = files.get_mut(index)?;
        let at = random.below(content.octets.len() as u64 * 8);
        *content.octets.get_mut(at as usize / 8)? ^= 1 << (at % 8);
        Some(format!("bit {at} of {name}"))
    }

    /// Flips this bit of a file.
    pub fn flip_bit(&self, name: &str, bit: usize) {
        if let Some(octet) = self.lock().files.get_mut(name).and_then(|content| content.octets.get_mut(bit / 8)) {
            *octet ^= 1 << (bit % 8);
        }
    }

    /// Power fails and returns.
    pub fn lose_power(&self, random: &mut Random) {
        let mut platter = self.lock();
        for (name, content) in std::mem::take(&mut platter.removed) {
            if random.once_in(2) {
                platter.files.insert(name, content);
            }
        }
        for (new, old) in std::mem::take(&mut platter.renamed) {
            if random.once_in(2)
                && let Some(content) = platter.files.remove(&new)
            {
                platter.files.insert(old, content);
            }
        }
        platter.files.retain(|_, content| content.is_named || random.once_in(2));
        for content in platter.files.values_mut() {
            content.lose(random);
        }
    }
}

impl Content {
    fn lose(&mut self, random: &mut Random) {
        let unsynced = self.octets.len() - self.synced;
        self.octets.truncate(self.synced + random.below(unsynced as u64 + 1) as usize);
        let synced = self.synced;
        for (number, sector) in self.octets.chunks_mut(SECTOR).enumerate() {
            let kept = synced.saturating_sub(number * SECTOR).min(sector.len());
            if random.once_in(4) {
                sector[kept..].fill(0);
            }
        }
        (self.synced, self.is_named, self.is_spoilt) = (self.octets.len(), true, false);
    }
}

impl Platter {
    /// What becomes of the call that is being made.
    fn next(&mut self) -> Fault {
        if self.is_spared {
            return Fault::None;
        }
        self.calls += 1;
        let planned = self.plan.pop_front();
        let fault = match self.nth {
            Some((nth, fault)) if nth == self.calls => fault,
            _ => planned.unwrap_or_else(|| self.constant.map_or(Fault::None, Fault::Error)),
        };
        if fault == Fault::Kill {
            resume_unwind(Box::new(Killed));
        }
        fault
    }

    /// The same for a call that only reads, which a disk that is full or read-only does not refuse; whether it is
    /// short.
    fn next_read(&mut self) -> io::Result<bool> {
        match self.next() {
            Fault::Error(ErrorKind::StorageFull | ErrorKind::ReadOnlyFilesystem) => Ok(false),
            Fault::Error(kind) => Err(kind.into()),
            fault => Ok(fault == Fault::Short),
        }
    }

    /// What becomes of a call that changes something, where there is nothing that could be short.
    fn fails(&mut self) -> io::Result<()> {
        match self.next() {
            Fault::Error(kind) => Err(kind.into()),
            Fault::None | Fault::Short | Fault::Kill => Ok(()),
        }
    }
}

impl Disk for SimulatedDisk {
    fn list(&self) -> io::Result<Vec<(String, u64)>> {
        let mut platter = self.lock();
        platter.next_read()?;
        Ok(platter.files.iter().map(|(name, content)| (name.clone(), content.octets.len() as u64)).collect())
    }

    fn read(&self, name: &str) -> io::Result<Box<dyn Read + Send>> {
        let mut platter = self.lock();
        platter.next_read()?;
        let content = platter.files.get(name).cloned().ok_or(ErrorKind::NotFound)?;
        Ok(Box::new(SimulatedReader { disk: self.clone(), octets: Cursor::new(content.octets) }))
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn File>> {
        let mut platter = self.lock();
        platter.fails()?;
        if platter.files.contains_key(name) {
            return Err(ErrorKind::AlreadyExists.into());
        }
        platter.files.insert(name.to_owned(), Content::default());
        Ok(Box::new(SimulatedFile { disk: self.clone(), name: name.to_owned() }))
    }

    fn sync(&self, name: &str) -> io::Result<()> {
        SimulatedFile { disk: self.clone(), name: name.to_owned() }.sync()
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut platter = self.lock();
        platter.fails()?;
        let content = platter.files.remove(name).ok_or(ErrorKind::NotFound)?;
        if content.is_named {
            platter.removed.insert(name.to_owned(), content);
        }
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut platter = self.lock();
        platter.fails()?;
        let content = platter.files.remove(from).ok_or(ErrorKind::NotFound)?;
        if content.is_named {
            platter.renamed.insert(to.to_owned(), from.to_owned());
        }
        platter.files.insert(to.to_owned(), content);
        Ok(())
    }

    fn sync_names(&self) -> io::Result<()> {
        let mut platter = self.lock();
        platter.fails()?;
        platter.removed.clear();
        platter.renamed.clear();
        platter.files.values_mut().for_each(|content| content.is_named = true);
        Ok(())
    }
}

/// A file that is being read.
struct SimulatedReader {
    disk: SimulatedDisk,
    octets: Cursor<Vec<u8>>,
}

impl Read for SimulatedReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // At the end, the disk is not asked.
        if self.octets.get_ref().len() as u64 == self.octets.position() {
            return Ok(0);
        }
        let is_short = self.disk.lock().next_read()?;
        let count = if is_short { 7.min(buffer.len()) } else { buffer.len() };
        self.octets.read(&mut buffer[..count])
    }
}

/// A file that is open. What is appended to one that was removed goes nowhere, as on a real disk.
#[derive(Debug)]
struct SimulatedFile {
    disk: SimulatedDisk,
    name: String,
}

impl File for SimulatedFile {
    fn append(&self, octets: &[u8]) -> io::Result<usize> {
        let mut platter = self.disk.lock();
        let count = match platter.next() {
            Fault::None | Fault::Kill => octets.len(),
            Fault::Short => octets.len().div_ceil(2),
            Fault::Error(kind) => return Err(kind.into()),
        };
        if let Some(content) = platter.files.get_mut(&self.name) {
            content.octets.extend_from_slice(&octets[..count]);
        }
        Ok(count)
    }

    fn sync(&self) -> io::Result<()> {
        let mut platter = self.disk.lock();
        let failed = platter.fails();
        if let Some(content) = platter.files.get_mut(&self.name) {
            content.is_spoilt |= failed.is_err();
            if !content.is_spoilt {
                content.synced = content.octets.len();
            }
        }
        failed
    }
}
