//! The memory limit of the control group of this process, and what it leaves for names and for questions about flows.
//!
//! Beyond such a limit the kernel kills the process. What its journal holds is counted at the next start, which needs as
//! much memory again: without an own limit below, the collector would be killed at every start.

use std::fs;
use std::path::{Path, PathBuf};

use api::FlowArchive;
use collector::FORWARD_QUEUE;

use crate::config::Config;

/// What a collector needs beside names: the program, SQLite, the REST interface, queued data.
const OTHER: u64 = 24 << 20;
/// While a flush is on its way, new names are counted beside it.
const COPIES: u64 = 2;
/// What the archive needs to write.
const ARCHIVE: u64 = 100 << 20;
/// The part of a limit that each question about archived flows may take.
const PART_OF_A_QUESTION: u64 = 8;
/// No limit is so low that nothing is left: few names are still better than none.
const LEAST: u64 = 1 << 20;

/// Lowers `server.nameMemory` to what the memory limit leaves for it.
pub(super) fn lower_name_memory(config: &mut Config) {
    let Some(limit) = memory_limit(Path::new("/")) else { return };
    let archive = if config.archive.enabled { archive_within(limit) } else { 0 };
    let forwarding = (config.forward.targets.len() * FORWARD_QUEUE) as u64;
    let fitting = name_memory_within(limit.saturating_sub(archive + forwarding));
    let name_memory = &mut config.server.name_memory;
    if let Ok(fitting) = usize::try_from(fitting)
        && fitting < *name_memory
    {
        tracing::warn!(
            "the control group limits memory to {} MiB: server.nameMemory is {} MiB instead of {} MiB, and names beyond it \
             are counted as other",
            limit >> 20,
            fitting >> 20,
            *name_memory >> 20,
        );
        *name_memory = fitting;
    }
}

/// The memory of a question about archived flows.
pub(super) fn question_memory() -> usize {
    memory_limit(Path::new("/")).map_or(questions::MEMORY, question_memory_within)
}

fn question_memory_within(limit: u64) -> usize {
    usize::try_from(limit / PART_OF_A_QUESTION).unwrap_or(usize::MAX).min(questions::MEMORY)
}

/// What the archive and all questions that are answered at a time need.
fn archive_within(limit: u64) -> u64 {
    ARCHIVE + (FlowArchive::AT_ONCE * question_memory_within(limit)) as u64
}

fn name_memory_within(limit: u64) -> u64 {
    (limit.saturating_sub(OTHER) / COPIES).max(LEAST)
}

/// The lowest limit of the control groups that this process is in, of version 1 or 2. Octets. `root` is `/`.
fn memory_limit(root: &Path) -> Option<u64> {
    let groups = fs::read_to_string(root.join("proc/self/cgroup")).ok()?;
    groups.lines().filter_map(Hierarchy::of_line).filter_map(|hierarchy| hierarchy.limit(root)).min()
}

/// A hierarchy of control groups that can limit memory.
struct Hierarchy {
    mounted_at: &'static str,
    files: &'static [&'static str],
    /// The group of this process. Inside a container it may name a directory that is visible outside only.
    group: PathBuf,
}

impl Hierarchy {
    /// Of a line of `/proc/self/cgroup`: number, controllers, group (cgroups(7)).
    fn of_line(line: &str) -> Option<Self> {
        let (number, rest) = line.split_once(':')?;
        let (controllers, group) = rest.split_once(':')?;
        let group = PathBuf::from(group.trim_start_matches('/'));
        if number == "0" && controllers.is_empty() {
            return Some(Self { mounted_at: "sys/fs/cgroup", files: &["memory.max", "memory.high"], group });
        }
        let is_of_memory = controllers.split(',').any(|controller| controller == "memory");
        is_of_memory.then_some(Self { mounted_at: "sys/fs/cgroup/memory", files: &["memory.limit_in_bytes"], group })
    }

    /// The lowest limit of the group and of those around it.
    fn limit(&self, root: &Path) -> Option<u64> {
        let directories = self.group.ancestors().map(|group| root.join(self.mounted_at).join(group));
        let files = directories.flat_map(|directory| self.files.iter().map(move |file| directory.join(file)));
        files.filter_map(|file| fs::read_to_string(file).ok()?.trim().parse().ok()).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A root with these files.
    fn root(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, content) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        root
    }

    #[test]
    fn the_lowest_limit_around_the_process_counts() {
        let unlimited = root(&[("proc/self/cgroup", "0::/system.slice/netflow.service\n")]);
        assert_eq!(memory_limit(unlimited.path()), None);
        let service = "sys/fs/cgroup/system.slice/netflow.service";
        let version_2 = root(&[
            ("proc/self/cgroup", "0::/system.slice/netflow.service\n"),
            (&format!("{service}/memory.max"), "67108864\n"),
            (&format!("{service}/memory.high"), "max\n"),
            ("sys/fs/cgroup/system.slice/memory.max", "41943040\n"),
        ]);
        assert_eq!(memory_limit(version_2.path()), Some(41_943_040));
        fs::write(version_2.path().join(service).join("memory.high"), "33554432\n").unwrap();
        assert_eq!(memory_limit(version_2.path()), Some(33_554_432));
        // Beside version 2 without controllers, and without a limit around it.
        let version_1 = root(&[
            ("proc/self/cgroup", "5:cpu,memory:/netflow\n4:pids:/\n0::/\n"),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
            ("sys/fs/cgroup/memory/netflow/memory.limit_in_bytes", "25165824\n"),
        ]);
        assert_eq!(memory_limit(version_1.path()), Some(25_165_824));
        // As in a container, which sees its own group as the root, under the name that the host knows.
        let container = root(&[
            ("proc/self/cgroup", "4:memory:/docker/0123456789ab\n"),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "268435456\n"),
        ]);
        assert_eq!(memory_limit(container.path()), Some(268_435_456));
    }

    #[test]
    fn the_archive_and_its_questions_leave_room_for_names() {
        assert_eq!(question_memory_within(64 << 30), questions::MEMORY);
        assert_eq!(question_memory_within(512 << 20), 64 << 20);
        assert_eq!(archive_within(512 << 20), (100 + 2 * 64) << 20);
        assert!(name_memory_within((1 << 30) - archive_within(1 << 30)) > 128 << 20, "the default fits");
    }

    #[test]
    fn every_limit_leaves_room_for_some_names() {
        assert_eq!(name_memory_within(0), LEAST);
        assert_eq!(name_memory_within(64 << 20), 20 << 20);
        assert!(name_memory_within(1 << 30) > 128 << 20, "the default fits");
    }
}
