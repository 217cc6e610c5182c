//! Stories about a cluster, one a file in `tests/scenarios/`, each with the section of the paper it is about.
//!
//! `UPDATE_SCENARIOS=1 cargo test -p raft-core --test scenarios` rewrites what the cluster answers; read the
//! difference before it is committed. `SCENARIO=name` runs one file alone and prints it.

mod scenario;

use std::path::{Path, PathBuf};

use scenario::paper::PAPER;
use scenario::random::World;
use scenario::script;

fn files() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let mut files: Vec<PathBuf> = std::fs::read_dir(directory)
        .expect("the directory of scenarios")
        .map(|entry| entry.expect("a directory entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .collect();
    files.sort();
    files
}

fn name(path: &Path) -> &str {
    path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default()
}

/// Runs one file; says what is wrong with it.
fn problem(path: &Path, update: bool) -> Option<String> {
    let text = std::fs::read_to_string(path).expect("a scenario");
    let told = match script::run(&text) {
        Ok(told) => told,
        Err(problem) => return Some(format!("{}:\n{problem}", name(path))),
    };
    if update {
        std::fs::write(path, told).expect("a writable scenario");
        return None;
    }
    (told != text).then(|| format!("{}:\n{}", name(path), script::difference(&text, &told)))
}

#[test]
fn every_story_goes_as_it_is_told() {
    let update = std::env::var_os("UPDATE_SCENARIOS").is_some();
    let only = std::env::var("SCENARIO").ok();
    let wanted = |path: &&PathBuf| only.as_deref().is_none_or(|only| only == name(path));
    let problems: Vec<String> =
        files().iter().filter(wanted).filter_map(|path| problem(path, update)).collect();
    assert!(problems.is_empty(), "{} stories went otherwise\n\n{}", problems.len(), problems.join("\n\n"));
}

#[test]
fn the_paper_is_told() {
    for (section, rule, scenarios) in PAPER {
        for scenario in *scenarios {
            let path = files().into_iter().find(|path| name(path) == *scenario);
            let path = path.unwrap_or_else(|| panic!("{section}, {rule}: there is no {scenario}"));
            let text = std::fs::read_to_string(path).expect("a scenario");
            let mut why = text.lines().take_while(|line| line.starts_with('#'));
            assert!(why.any(|line| line.contains(section)), "{scenario} is not about {section}");
        }
    }
}

/// As many seeds and steps as fit into a few seconds. `SEEDS=1000..2000 STEPS=5000` takes others,
/// `SEEDS=7..8 TELL=1 cargo test … -- --nocapture` tells one.
#[test]
fn whatever_happens() {
    let number = |text: &str| text.parse::<u64>().expect("a number");
    let seeds = std::env::var("SEEDS").ok();
    let (first, end) = seeds.as_deref().and_then(|seeds| seeds.split_once("..")).unwrap_or(("0", "80"));
    let steps = std::env::var("STEPS").map_or(2000, |steps| number(&steps));
    let telling = std::env::var_os("TELL").is_some();
    for seed in number(first)..number(end) {
        let run = || World::run(seed, usize::try_from(steps).expect("fits"), telling);
        if let Err(panic) = std::panic::catch_unwind(run) {
            eprintln!("seed {seed}, {steps} steps");
            std::panic::resume_unwind(panic);
        }
    }
}
