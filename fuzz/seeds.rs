//! Writes the seeds of every target to `corpus/<target>/` next to this file: `cargo run --example seeds`. They are generated
//! from the captures and not part of the repository.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use netflow_fuzz::bodies::{BODIES, Body, Step, input, is_of};
use netflow_fuzz::seeds::{Conversation, conversations, sampled_packets, structured_lists};

fn main() -> io::Result<()> {
    let conversations = conversations();
    for body in BODIES {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("corpus").join(body.name);
        fs::create_dir_all(&folder)?;
        let inputs = match body.name {
            "sampled_packet" => sampled_packets(&conversations),
            "structured_data" => structured_lists(),
            _ => conversations.iter().filter_map(|conversation| sequence_for(body, conversation)).collect(),
        };
        write(&folder, &inputs)?;
        println!("{:>6} seeds for {}", inputs.len(), body.name);
    }
    for body in robustness::BODIES {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("corpus").join(body.name);
        fs::create_dir_all(&folder)?;
        let inputs = (body.seeds)();
        write(&folder, &inputs)?;
        println!("{:>6} seeds for {}", inputs.len(), body.name);
    }
    Ok(())
}

/// The datagrams of a conversation that a body takes; `None` if there are none.
fn sequence_for(body: &Body, conversation: &Conversation) -> Option<Vec<u8>> {
    let taken = conversation.iter().filter(|payload| is_of(payload, body.versions));
    let steps = taken.map(|payload| Step { circumstances: 4, payload });
    Some(input(steps)).filter(|input| !input.is_empty())
}

fn write(folder: &Path, inputs: &[Vec<u8>]) -> io::Result<()> {
    inputs.iter().enumerate().try_for_each(|(number, input)| fs::write(folder.join(format!("seed-{number:05}")), input))
}
