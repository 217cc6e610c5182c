//! Scenario files: commands, a line with `---`, and what the cluster answered; then a blank line. Lines that
//! begin with `#` say why.

use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::commands::Story;

/// One part of a file.
enum Part {
    Comment(String),
    Commands(Vec<String>),
}

fn parse(text: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    for paragraph in text.split("\n\n") {
        let lines: Vec<&str> = paragraph.lines().filter(|line| !line.trim().is_empty()).collect();
        let commands = lines.iter().take_while(|line| **line != "---").map(|line| (*line).to_owned());
        if lines.iter().all(|line| line.starts_with('#')) {
            parts.extend((!lines.is_empty()).then(|| Part::Comment(lines.join("\n"))));
        } else {
            parts.push(Part::Commands(commands.collect()));
        }
    }
    parts
}

/// Runs a file's commands and gives the file as it would be with their output; or what broke, with the story
/// up to there.
pub(crate) fn run(text: &str) -> Result<String, String> {
    let mut told = String::new();
    let run = catch_unwind(AssertUnwindSafe(|| tell(text, &mut told)));
    match run {
        Ok(Ok(())) => Ok(told),
        Ok(Err(problem)) => Err(format!("{told}\n{problem}")),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic");
            Err(format!("{told}\nbroken: {text}"))
        }
    }
}

fn tell(text: &str, told: &mut String) -> Result<(), String> {
    let mut story = Story::default();
    for part in parse(text) {
        let separator = if told.is_empty() { "" } else { "\n" };
        match part {
            Part::Comment(comment) => {
                let _ = writeln!(told, "{separator}{comment}");
            }
            Part::Commands(commands) => {
                told.push_str(separator);
                for command in &commands {
                    let _ = writeln!(told, "{command}");
                }
                let _ = writeln!(told, "---");
                let mut lines = Vec::new();
                for command in commands.iter().filter(|command| !command.starts_with('#')) {
                    let run = story.run(command);
                    lines.extend(story.tell());
                    run.map_err(|problem| format!("{}\n{command}: {problem}", lines.join("\n")))?;
                }
                if lines.is_empty() {
                    lines.push("ok".to_owned());
                }
                let _ = writeln!(told, "{}", lines.join("\n"));
            }
        }
    }
    Ok(())
}

/// The lines of both, in order: common ones indented, others after `-` or `+`.
pub(crate) fn difference(expected: &str, found: &str) -> String {
    let (old, new): (Vec<&str>, Vec<&str>) = (expected.lines().collect(), found.lines().collect());
    let mut common = vec![vec![0usize; new.len() + 1]; old.len() + 1];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            common[i][j] = if old[i] == new[j] {
                common[i + 1][j + 1] + 1
            } else {
                common[i + 1][j].max(common[i][j + 1])
            };
        }
    }
    let (mut i, mut j, mut out) = (0, 0, String::new());
    while i < old.len() || j < new.len() {
        let line = if i < old.len() && j < new.len() && old[i] == new[j] {
            (i, j) = (i + 1, j + 1);
            format!("  {}", old[i - 1])
        } else if j == new.len() || (i < old.len() && common[i + 1][j] >= common[i][j + 1]) {
            i += 1;
            format!("- {}", old[i - 1])
        } else {
            j += 1;
            format!("+ {}", new[j - 1])
        };
        let _ = writeln!(out, "{line}");
    }
    out
}
