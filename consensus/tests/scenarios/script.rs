//! The form of a story: a title, a paragraph, then blocks of commands and the trace that they must give.

use std::fmt;

/// A parsed file.
pub struct Script {
    /// Title and paragraph, as they stand.
    preface: Vec<String>,
    pub blocks: Vec<Block>,
}

/// Commands, and their trace.
pub struct Block {
    /// Comments and blank lines before the commands, as they stand.
    remarks: Vec<String>,
    /// The first command's line in the file.
    pub line: usize,
    /// As they stand.
    lines: Vec<String>,
    pub commands: Vec<Command>,
    /// The trace of this run, without blank lines.
    pub found: String,
}

/// One command: words, of which those with `=` are named.
#[derive(Clone, Debug)]
pub struct Command {
    pub verb: String,
    words: Vec<String>,
}

const RULE: &str = "----";

impl Script {
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut lines = text.lines().enumerate().peekable();
        let mut preface = Vec::new();
        // The preface ends with the first blank line after its paragraph.
        while let Some((_, line)) = lines.next_if(|(_, line)| preface.len() < 3 || !line.is_empty()) {
            preface.push(line.to_owned());
        }
        let titled = preface.first().is_some_and(|title| !title.is_empty());
        if !titled || preface.get(1).is_none_or(|line| !line.is_empty()) || preface.get(2).is_none_or(String::is_empty) {
            return Err("a story begins with its title, a blank line, and a paragraph on the rule that it tells".to_owned());
        }
        let mut blocks = Vec::new();
        while lines.peek().is_some() {
            let mut block = Block {
                remarks: Vec::new(),
                line: 0,
                lines: Vec::new(),
                commands: Vec::new(),
                found: String::new(),
            };
            while let Some((_, line)) = lines.next_if(|(_, line)| line.is_empty() || line.starts_with('#')) {
                block.remarks.push(line.to_owned());
            }
            let Some((first, _)) = lines.peek() else {
                if block.remarks.iter().any(|line| !line.is_empty()) {
                    return Err("a remark stands before commands".to_owned());
                }
                break;
            };
            block.line = first + 1;
            loop {
                match lines.next() {
                    Some((_, RULE)) => break,
                    Some((at, line)) if !line.is_empty() => {
                        block
                            .commands
                            .push(Command::parse(line).ok_or_else(|| format!("line {}: no command", at + 1))?);
                        block.lines.push(line.to_owned());
                    }
                    _ => return Err(format!("line {}: commands without {RULE} behind them", block.line)),
                }
            }
            while lines.next_if(|(_, line)| !line.is_empty()).is_some() {}
            blocks.push(block);
        }
        Ok(Self { preface, blocks })
    }
}

impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.preface {
            writeln!(f, "{line}")?;
        }
        for block in &self.blocks {
            for line in block.remarks.iter().chain(&block.lines) {
                writeln!(f, "{line}")?;
            }
            writeln!(f, "{RULE}")?;
            f.write_str(&block.found)?;
        }
        Ok(())
    }
}

impl Command {
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split_whitespace().map(str::to_owned);
        Some(Self {
            verb: words.next()?,
            words: words.collect(),
        })
    }

    /// The words without a name, in order.
    pub fn plain(&self) -> impl Iterator<Item = &str> {
        self.words.iter().map(String::as_str).filter(|word| !word.contains('='))
    }

    /// The words with a name, in order.
    pub fn named(&self) -> impl Iterator<Item = (&str, &str)> {
        self.words.iter().filter_map(|word| word.split_once('='))
    }

    /// What stands behind `name=`.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.named().find(|(found, _)| *found == name).map(|(_, value)| value)
    }

    /// Whether the word stands there.
    pub fn says(&self, word: &str) -> bool {
        self.words.iter().any(|found| found == word)
    }

    /// The command without its verb, whose place the first word takes.
    pub fn inner(&self) -> Result<Self, String> {
        let (verb, words) = self.words.split_first().ok_or("a command is missing")?;
        Ok(Self {
            verb: verb.clone(),
            words: words.to_vec(),
        })
    }
}
