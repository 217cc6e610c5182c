//! Writes every target's seeds to a directory: `raft-fuzz-seeds DIR` makes `DIR/TARGET/seed-NN`.
#![forbid(unsafe_code)]

use std::path::PathBuf;

fn main() -> std::io::Result<()> {
    let Some(top) = std::env::args_os().nth(1).map(PathBuf::from) else {
        return Err(std::io::Error::other("say where to: raft-fuzz-seeds DIR"));
    };
    for (target, _) in raft_fuzz::TARGETS {
        let directory = top.join(target);
        std::fs::create_dir_all(&directory)?;
        for (number, seed) in raft_fuzz::seeds::of(target).iter().enumerate() {
            std::fs::write(directory.join(format!("seed-{number:02}")), seed)?;
        }
    }
    Ok(())
}
