//! From a document to the blocks in it that are to be run.

use anyhow::{Context, Result, bail, ensure};

/// What a line begins with that opens or closes a block.
const FENCE: &str = "```";

/// What stands in front of a command.
const PROMPT: &str = "$ ";

/// What stands in front of what is typed to a command that runs: the kernel's shell, which
/// shows what it reads, and the debugger, which does not.
pub const SHELL: &str = "klplab> ";
/// The debugger's.
pub const DEBUGGER: &str = "(gdb) ";

/// What the info string of a terminal's block begins with; the terminal's name is behind it.
const TERMINAL: &str = "console terminal=";

/// What a block is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Kind {
    /// Commands without a look at their output.
    Commands,
    /// Commands with what they print.
    Dialogue {
        /// Whether each must fail.
        fails: bool,
    },
    /// What is typed in a terminal, where the first block's command goes on running.
    Terminal(String),
    /// What is typed to the kernel's shell: each command must do what it was asked.
    Typed,
    /// A change to files.
    Diff,
    /// The whole text of a file.
    File(String),
    /// Nothing to be run.
    Figure,
}

/// A fenced block.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Block {
    /// The line of its opening fence, counted from 1.
    pub line: usize,
    /// What it is.
    pub kind: Kind,
    /// Its lines, each with its end.
    pub text: String,
}

/// A command and what it prints.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Exchange {
    /// The command's line in the document, counted from 1.
    pub line: usize,
    /// The command, of more than one line if all but the last end in `\`.
    pub command: String,
    /// The lines that it prints.
    pub expected: Vec<String>,
}

impl Exchange {
    /// What is typed to the command while it runs.
    #[must_use]
    pub fn input(&self) -> String {
        let typed = |line: &String| {
            let typed = line.strip_prefix(SHELL).or(line.strip_prefix(DEBUGGER))?;
            Some(format!("{typed}\n"))
        };
        self.expected.iter().filter_map(typed).collect()
    }

    /// Whether it is typed to the command that runs: then the line is printed too.
    #[must_use]
    pub fn is_typed(&self) -> bool {
        let echo = self
            .expected
            .first()
            .and_then(|line| line.strip_prefix(SHELL));
        echo == Some(&self.command)
    }

    /// The line in the document of the first one that is printed.
    #[must_use]
    pub fn first_expected(&self) -> usize {
        match self.is_typed() {
            true => self.line,
            false => self.line + self.command.lines().count(),
        }
    }
}

/// The fenced blocks of a document.
///
/// # Errors
/// When a block is of no known kind, or does not end; the message names the line.
pub fn blocks(text: &str) -> Result<Vec<Block>> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for (number, line) in (1..).zip(text.lines()) {
        match &mut open {
            Some(block) if line.trim_end() != FENCE => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            Some(block) => {
                ensure!(
                    block.kind != Kind::Figure || !looks_like_commands(&block.text),
                    "line {}: commands are no figure",
                    block.line
                );
                blocks.extend(open.take());
            }
            None => {
                let inner = line.trim_start();
                if inner.starts_with(FENCE) || inner.starts_with("~~~") {
                    let info = line.strip_prefix(FENCE).with_context(|| {
                        format!(
                            "line {number}: a block has to begin with {FENCE} in the first column"
                        )
                    })?;
                    open = Some(Block {
                        line: number,
                        kind: kind(info.trim()).with_context(|| format!("line {number}"))?,
                        text: String::new(),
                    });
                }
            }
        }
    }
    match open {
        Some(block) => bail!("line {}: the block does not end", block.line),
        None => Ok(blocks),
    }
}

/// Whether a block has a line that a reader would type.
fn looks_like_commands(text: &str) -> bool {
    const BEGINS: [&str; 5] = [PROMPT, SHELL, DEBUGGER, "make ", "cargo "];
    text.lines()
        .any(|line| BEGINS.iter().any(|begin| line.starts_with(begin)))
}

/// What an info string says.
fn kind(info: &str) -> Result<Kind> {
    Ok(match info {
        "sh" => Kind::Commands,
        "console" => Kind::Dialogue { fails: false },
        "console fails" => Kind::Dialogue { fails: true },
        "klplab" => Kind::Typed,
        "diff" => Kind::Diff,
        "text" | "asm" | "rust" | "toml" | "json" => Kind::Figure,
        _ if info.starts_with(TERMINAL) => Kind::Terminal(info[TERMINAL.len()..].to_owned()),
        _ => match info.split_once(" file=") {
            Some((_, path)) if !path.is_empty() => Kind::File(path.to_owned()),
            // A drawing of frames: which of the structs it shows.
            _ if info.starts_with("text ") => Kind::Figure,
            _ => bail!("there is nothing to do with a block of kind `{info}`"),
        },
    })
}

/// The commands of a dialogue; in a terminal, also what is typed there to the one that runs.
///
/// # Errors
/// When it does not begin with one; the message names the line.
pub fn exchanges(block: &Block) -> Result<Vec<Exchange>> {
    let typed = match block.kind {
        Kind::Terminal(_) => Some(SHELL),
        _ => None,
    };
    let mut exchanges: Vec<Exchange> = Vec::new();
    let mut goes_on = false;
    for (number, line) in (block.line + 1..).zip(block.text.lines()) {
        if goes_on {
            let last = exchanges.last_mut().context("no command before")?;
            last.command = format!("{}\n{line}", last.command);
        } else if let Some(command) = line.strip_prefix(PROMPT) {
            exchanges.push(Exchange {
                line: number,
                command: command.to_owned(),
                expected: Vec::new(),
            });
        } else if let Some(input) = typed.and_then(|prompt| line.strip_prefix(prompt)) {
            exchanges.push(Exchange {
                line: number,
                command: input.to_owned(),
                expected: vec![line.to_owned()],
            });
            continue;
        } else if let Some(last) = exchanges.last_mut() {
            last.expected.push(line.to_owned());
            continue;
        } else {
            bail!("line {number}: a dialogue begins with a command behind `{PROMPT}`");
        }
        goes_on = line.ends_with('\\');
    }
    ensure!(
        !exchanges.is_empty(),
        "line {}: there is no command in it",
        block.line
    );
    Ok(exchanges)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_found_with_their_kinds_and_lines() {
        let text = "# T\n\n```sh\na\n\nb\n```\ntext `x`\n```console\n$ c\n```\n```console fails\n$ d\n```\n\
            ```diff\n-x\n```\n```rust file=a/b.rs\nfn f() {}\n```\n```text\n+--+\n```\n\
            ```klplab\nreset\n```\n```text FrameHeader\n```\n```console terminal=1\nx\n```\n";
        let found = blocks(text).unwrap();
        let found: Vec<_> = (found.iter())
            .map(|block| (block.line, block.kind.clone(), block.text.as_str()))
            .collect();
        let expected = [
            (3, Kind::Commands, "a\n\nb\n"),
            (9, Kind::Dialogue { fails: false }, "$ c\n"),
            (12, Kind::Dialogue { fails: true }, "$ d\n"),
            (15, Kind::Diff, "-x\n"),
            (18, Kind::File("a/b.rs".into()), "fn f() {}\n"),
            (21, Kind::Figure, "+--+\n"),
            (24, Kind::Typed, "reset\n"),
            (27, Kind::Figure, ""),
            (29, Kind::Terminal("1".into()), "x\n"),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn what_is_not_run_is_an_error_with_its_line() {
        for (text, problem) in [
            (
                "a\n```bash\n```\n",
                "line 2: there is nothing to do with a block of kind `bash`",
            ),
            (
                "```\n```\n",
                "line 1: there is nothing to do with a block of kind ``",
            ),
            ("```rust file=\n```\n", "line 1: there is nothing"),
            ("```text\nmake x\n```\n", "line 1: commands are no figure"),
            ("```toml\n$ x\n```\n", "line 1: commands are no figure"),
            ("```consoles\n```\n", "line 1: there is nothing"),
            ("```console terminal\n```\n", "line 1: there is nothing"),
            ("- x\n  ```sh\n  ```\n", "line 2: a block has to begin with"),
            ("~~~sh\n~~~\n", "line 1: a block has to begin with"),
            ("\n```sh\nx\n", "line 2: the block does not end"),
        ] {
            let error = format!("{:#}", blocks(text).unwrap_err());
            assert!(error.contains(problem), "{error}");
        }
    }

    #[test]
    fn a_dialogue_is_commands_and_what_they_print() {
        let text = "x\n```console\n$ a b\nc\n\n$ d \\\n  e\nf\n```\n";
        let found = exchanges(&blocks(text).unwrap()[0]).unwrap();
        let of = |line, command: &str, expected: &[&str]| Exchange {
            line,
            command: command.into(),
            expected: expected.iter().map(|line| (*line).to_owned()).collect(),
        };
        assert_eq!(
            found,
            [of(3, "a b", &["c", ""]), of(6, "d \\\n  e", &["f"])]
        );
        assert_eq!(found[1].first_expected(), 8);
        let text = "```console\n$ a\nx\nklplab> b c\ny\n(gdb) d\n```\n";
        let typing = exchanges(&blocks(text).unwrap()[0]).unwrap();
        assert_eq!(typing[0].input(), "b c\nd\n");
        let text = "```console terminal=1\n$ a\nx\nklplab> b c\ny\nklplab> d\n```\n";
        let terminal = exchanges(&blocks(text).unwrap()[0]).unwrap();
        let expected = [
            of(2, "a", &["x"]),
            of(4, "b c", &["klplab> b c", "y"]),
            of(6, "d", &["klplab> d"]),
        ];
        assert_eq!(terminal, expected);
        for (text, problem) in [
            (
                "```console\na\n$ b\n```\n",
                "line 2: a dialogue begins with a command",
            ),
            ("```console\n```\n", "line 1: there is no command"),
        ] {
            let error = exchanges(&blocks(text).unwrap()[0])
                .unwrap_err()
                .to_string();
            assert!(error.contains(problem), "{error}");
        }
    }
}
