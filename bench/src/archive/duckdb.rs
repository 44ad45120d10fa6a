//! DuckDB, asked about our files. Its time is that of the query alone: how long Python takes to start is not its matter.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

use super::question::{Answer, By, MOST, Question, STEP};
use crate::process::Cost;

const SCRIPT: &str = "\
import sys, time, duckdb
_, threads, query = sys.argv
duckdb.sql(f'SET threads = {threads}; SET enable_progress_bar = false')
wall, processor = time.perf_counter(), time.process_time()
rows = duckdb.sql(query).fetchall()
print(time.process_time() - processor, time.perf_counter() - wall)
for row in rows: print(*row)
";

/// The Python of `make target/tools/duckdb`, which is beside the folder of this program.
pub(super) fn python() -> Option<PathBuf> {
    let own = std::env::current_exe().ok()?;
    let tools = own.parent().and_then(Path::parent)?.join("tools");
    tools.join("duckdb").exists().then(|| tools.join("bin/python"))
}

/// Its answer, and what the query took.
pub(super) fn ask(question: &Question, folder: &Path, threads: usize, python: &Path) -> anyhow::Result<(Answer, Cost)> {
    let (keys, groups, order) = match question.by {
        By::Sources => ("srcip_v4".to_owned(), "1", "octets DESC"),
        By::SourcesAndPorts => ("srcip_v4, dstport".to_owned(), "1, 2", "octets DESC"),
        By::Steps => (format!("epoch_ms(received) // {STEP} * {STEP}"), "1", "1"),
    };
    let query = format!(
        "SELECT {keys}, sum(flows), sum(packets * rate), sum(bytes * rate) AS octets \
         FROM read_parquet('{}/*/*/*.parquet', hive_partitioning = true) WHERE {} \
         GROUP BY {groups} ORDER BY {order} LIMIT {MOST}",
        folder.display(),
        question.condition
    );
    let output = Command::new(python).args(["-c", SCRIPT, &threads.to_string(), &query]).output()?;
    ensure!(output.status.success(), "DuckDB: {}", String::from_utf8_lossy(&output.stderr));
    let output = String::from_utf8(output.stdout)?;
    let (times, lines) = output.split_once('\n').context("DuckDB printed nothing")?;
    let times: Vec<f64> = times.split_whitespace().filter_map(|time| time.parse().ok()).collect();
    let [processor_seconds, seconds] = times[..] else { anyhow::bail!("DuckDB printed no times: {output}") };
    Ok((Answer::read(lines)?, Cost { processor_seconds, seconds }))
}
