//! What can be seen line by line.

use crate::Finding;

/// The longest file, in lines.
pub const MAX_FILE_LINES: usize = 600;
/// The longest line, in characters.
pub const MAX_LINE_CHARS: usize = 110;

// Put together here so that this file does not find itself.
const UNFINISHED: [&str; 3] = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];

/// Checks one file.
#[must_use]
pub fn check(path: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let lines = text.lines().count();
    if lines > MAX_FILE_LINES {
        let message =
            format!("{lines} lines, at most {MAX_FILE_LINES}: look for its second subject and move it");
        findings.push(Finding::new(path, MAX_FILE_LINES + 1, message));
    }
    for (number, line) in (1..).zip(text.lines()) {
        findings.extend(check_line(line).map(|message| Finding::new(path, number, message)));
    }
    findings
}

fn check_line(line: &str) -> impl Iterator<Item = String> {
    let chars = line.chars().count();
    let long = (chars > MAX_LINE_CHARS && !is_one_string(line)).then(|| {
        format!(
            "{chars} characters, at most {MAX_LINE_CHARS}: break the line, or a string with `\\` at its end"
        )
    });
    let trailing = (line.trim_end() != line).then(|| "blanks at the end of the line: run ./fix".to_owned());
    let unfinished = words(line)
        .find(|word| UNFINISHED.contains(word))
        .map(|word| format!("{word}: finish it, or file an issue and leave it out"));
    let banner =
        is_banner(line).then(|| "a banner comment: let a module or a file divide the code".to_owned());
    [long, trailing, unfinished, banner].into_iter().flatten()
}

/// A line that is nothing but one string: rustfmt will not break it, and a message is best kept in one piece.
fn is_one_string(line: &str) -> bool {
    let line = line.trim().trim_end_matches([',', ';', ')']);
    line.len() > 1 && line.starts_with('"') && line.ends_with('"')
}

fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|c: char| !c.is_alphanumeric() && c != '_')
}

fn is_banner(line: &str) -> bool {
    let Some(comment) = line.trim_start().strip_prefix("//") else { return false };
    let content = comment.trim_start_matches(['/', '!']).trim();
    let run = |of: char| content.chars().take_while(|c| *c == of).count();
    comment.len() - comment.trim_start_matches('/').len() > 2 || "-=*#~_+".chars().any(|of| run(of) > 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<String> {
        check("a.rs", text).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn long_files() {
        assert_eq!(found(&"a\n".repeat(600)), [""; 0]);
        let findings = found(&"a\n".repeat(601));
        assert!(findings[0].starts_with("a.rs:601: 601 lines, at most 600"), "{findings:?}");
    }

    #[test]
    fn long_lines() {
        assert_eq!(found(&"é".repeat(110)), [""; 0]);
        assert!(found(&"é".repeat(111))[0].starts_with("a.rs:1: 111 characters"));
        assert_eq!(found(&format!("    \"{}\",", "a".repeat(120))), [""; 0], "a message in one piece");
        assert_eq!(found(&format!("let a = \"{}\";", "a".repeat(120))).len(), 1);
    }

    #[test]
    fn trailing_blanks() {
        assert!(found("a\nb \nc")[0].starts_with("a.rs:2: blanks at the end"));
        assert_eq!(found("a\t").len(), 1);
    }

    #[test]
    fn unfinished_work() {
        for word in UNFINISHED {
            assert!(found(&format!("// {word}: later"))[0].contains(word));
            assert_eq!(found(&format!("// {word}S and mkstemp {word}X are words of their own")), [""; 0]);
        }
    }

    #[test]
    fn banners() {
        for bad in ["// -----", "  // ===== Election =====", "//////", "//#####", "// *****"] {
            assert!(found(bad)[0].contains("banner"), "{bad} passed");
        }
        for good in
            ["/// # Errors", "//! - a list", "//! ```", "/// | --- | --- |", "// a -- b", "let a = b;"]
        {
            assert_eq!(found(good), [""; 0]);
        }
    }
}
