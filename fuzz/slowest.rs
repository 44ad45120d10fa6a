//! Runs every input of `corpus/` through its body and reports the slowest: `cargo run --release --example slowest`.
//! libFuzzer counts whole seconds; here the limit is [`LIMIT`].

use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use netflow_fuzz::bodies::BODIES;

/// How long the body may take over any input, all its checks included.
const LIMIT: Duration = Duration::from_millis(50);

fn main() -> io::Result<ExitCode> {
    let mut code = ExitCode::SUCCESS;
    let decoders = BODIES.iter().map(|body| (body.name, body.run));
    let others = robustness::BODIES.iter().map(|body| (body.name, body.run));
    for (name, run) in decoders.chain(others) {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
        let mut slowest = (Duration::ZERO, PathBuf::new());
        let mut inputs = 0;
        for file in fs::read_dir(&folder)? {
            let path = file?.path();
            let input = fs::read(&path)?;
            // The fastest of three runs, because the machine is shared.
            let took = (0..3).map(|_| time(run, &input)).min().unwrap_or_default();
            slowest = slowest.max((took, path));
            inputs += 1;
        }
        let (took, path) = slowest;
        println!("{:>16}: {inputs:>6} inputs, slowest {took:?} {}", name, path.display());
        if took > LIMIT {
            code = ExitCode::FAILURE;
        }
    }
    Ok(code)
}

fn time(run: fn(&[u8]), input: &[u8]) -> Duration {
    let start = Instant::now();
    run(input);
    start.elapsed()
}
