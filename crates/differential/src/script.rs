//! Files as psql reads them: SQL statements, backslash commands, variables, data of COPY.
//!
//! A file is read as it is played, since what a piece of it is depends on what the server answered: lines after a COPY are data only
//! if the server asked for some, and `standard_conforming_strings` decides where a literal ends.
//!
//! Variables are found here and replaced by whoever plays, as each server has values of its own.

use std::collections::BTreeMap;

/// Values of a script's variables.
pub type Variables = BTreeMap<String, String>;

/// Text with variables in it.
pub type Text = Vec<Piece>;

/// A part of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// As it stands.
    Plain(String),
    /// A variable's value.
    Variable {
        /// Its name.
        name: String,
        /// How the value is written.
        quoting: Quoting,
    },
}

/// How a variable's value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quoting {
    /// `:name`
    Bare,
    /// `:'name'`
    Literal,
    /// `:"name"`
    Identifier,
    /// `:{?name}`: whether there is one.
    Exists,
}

/// Text with its variables replaced; an unknown variable stays as it is written.
pub fn resolved(text: &[Piece], variables: &Variables) -> String {
    let piece = |piece: &Piece| match piece {
        Piece::Plain(text) => text.clone(),
        Piece::Variable { name, quoting } => match (quoting, variables.get(name)) {
            (Quoting::Exists, value) => if value.is_some() { "TRUE" } else { "FALSE" }.to_owned(),
            (Quoting::Bare, Some(value)) => value.clone(),
            (Quoting::Literal, Some(value)) => format!("'{}'", value.replace('\'', "''")),
            (Quoting::Identifier, Some(value)) => format!("\"{}\"", value.replace('"', "\"\"")),
            (Quoting::Bare, None) => format!(":{name}"),
            (Quoting::Literal, None) => format!(":'{name}'"),
            (Quoting::Identifier, None) => format!(":\"{name}\""),
        },
    };
    text.iter().map(piece).collect()
}

/// What is next in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// To be sent to the server.
    Statement {
        /// The line it begins in, from 1.
        line: usize,
        /// The text, without what ends it.
        text: Text,
        /// What to do with the result.
        then: Then,
    },
    /// A backslash command that is psql's own.
    Command {
        /// Its name.
        name: String,
        /// Its arguments.
        arguments: Vec<Text>,
    },
}

/// What is done with a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Then {
    /// It is shown.
    Show,
    /// Its columns become variables, with this prefix.
    Set(Text),
    /// Its values are statements.
    Execute,
}

/// A file that is being read.
pub struct Script<'a> {
    text: &'a str,
    at: usize,
    line: usize,
    /// Whether a backslash is a character like others in `'...'`.
    pub standard_strings: bool,
    buffer: Buffer,
}

/// A statement as far as it is read.
#[derive(Default)]
struct Buffer {
    text: Text,
    line: usize,
    parentheses: usize,
    /// BEGIN ATOMIC and CASE in a function's body.
    blocks: usize,
    /// The first words of it, in lower case.
    words: Vec<String>,
}

/// How many of a statement's words can matter: `create or replace function`.
const WORDS_KEPT: usize = 4;

impl Buffer {
    fn push(&mut self, text: &str, line: usize) {
        if self.text.is_empty() {
            self.line = line;
        }
        match self.text.last_mut() {
            Some(Piece::Plain(plain)) => plain.push_str(text),
            _ => self.text.push(Piece::Plain(text.to_owned())),
        }
    }

    /// As psql counts, to see which semicolons are inside of a body.
    fn word(&mut self, word: &str) {
        let word = word.to_ascii_lowercase();
        if self.words.len() < WORDS_KEPT {
            self.words.push(word.clone());
        }
        let words: Vec<_> = self.words.iter().map(String::as_str).collect();
        let makes_function = matches!(
            words[..],
            ["create", "function" | "procedure", ..] | ["create", "or", "replace", "function" | "procedure"]
        );
        if makes_function && self.parentheses == 0 {
            match word.as_str() {
                "begin" => self.blocks += 1,
                "case" if self.blocks > 0 => self.blocks += 1,
                "end" if self.blocks > 0 => self.blocks -= 1,
                _ => {}
            }
        }
    }
}

impl<'a> Script<'a> {
    /// From its beginning.
    pub fn new(text: &'a str) -> Script<'a> {
        Script {
            text,
            at: 0,
            line: 1,
            standard_strings: true,
            buffer: Buffer::default(),
        }
    }

    /// Reads up to the end of the next statement or command.
    pub fn next(&mut self) -> Option<Item> {
        while let Some(character) = self.rest().chars().next() {
            let rest = self.rest();
            if let Some(length) = comment(rest) {
                let comment = self.take(length);
                if !self.buffer.text.is_empty() {
                    self.buffer.push(comment, self.line);
                }
            } else if let Some(length) = quoted(rest, self.standard_strings) {
                self.keep(length);
            } else if let Some((length, piece)) = variable(rest) {
                self.take(length);
                if self.buffer.text.is_empty() {
                    self.buffer.line = self.line;
                }
                self.buffer.text.push(piece);
            } else if let Some(length) = identifier(rest) {
                let word = &rest[..length];
                self.buffer.word(word);
                self.keep(length);
            } else if let Some(escaped) = rest.strip_prefix('\\') {
                if escaped.starts_with([';', ':']) {
                    self.take(1);
                    self.keep(1);
                } else if let Some(item) = self.command() {
                    return Some(item);
                }
            } else {
                match character {
                    '(' => self.buffer.parentheses += 1,
                    ')' => self.buffer.parentheses = self.buffer.parentheses.saturating_sub(1),
                    ';' if self.buffer.parentheses == 0 && self.buffer.blocks == 0 => {
                        self.take(1);
                        if let Some(item) = self.statement(Then::Show) {
                            return Some(item);
                        }
                        continue;
                    }
                    _ => {}
                }
                if character.is_whitespace() && self.buffer.text.is_empty() {
                    self.take(character.len_utf8());
                } else if rest.starts_with("::") {
                    self.keep(2);
                } else {
                    self.keep(character.len_utf8());
                }
            }
        }
        self.statement(Then::Show)
    }

    /// The lines up to `\.`, without it.
    pub fn copy_data(&mut self) -> Vec<u8> {
        // The rest of the line that the statement ends in is not data.
        let line_end = self.rest().find('\n').map_or(self.rest().len(), |end| end + 1);
        if self.rest()[..line_end].trim().is_empty() {
            self.take(line_end);
        }
        let mut data = String::new();
        while !self.rest().is_empty() {
            let end = self.rest().find('\n').map_or(self.rest().len(), |end| end + 1);
            let line = self.take(end);
            if line.trim_end() == "\\." {
                break;
            }
            data += line;
        }
        data.into_bytes()
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn take(&mut self, length: usize) -> &'a str {
        let taken = &self.rest()[..length];
        self.at += length;
        self.line += taken.matches('\n').count();
        taken
    }

    fn keep(&mut self, length: usize) {
        let line = self.line;
        let kept = self.take(length);
        self.buffer.push(kept, line);
    }

    fn statement(&mut self, then: Then) -> Option<Item> {
        let Buffer { text, line, .. } = std::mem::take(&mut self.buffer);
        (!text.is_empty()).then_some(Item::Statement { line, text, then })
    }

    /// A backslash command: nothing if it only empties the buffer.
    fn command(&mut self) -> Option<Item> {
        self.take(1);
        let length = self.rest().find(|c: char| !c.is_ascii_alphanumeric() && !"!?+".contains(c));
        let name = self.take(length.unwrap_or(self.rest().len())).to_owned();
        if name == "copy" {
            let line_end = self.rest().find('\n').unwrap_or(self.rest().len());
            let line = self.line;
            let text = format!("COPY{}", self.take(line_end));
            let text = vec![Piece::Plain(text)];
            return Some(Item::Statement {
                line,
                text,
                then: Then::Show,
            });
        }
        let mut arguments = self.arguments();
        match name.as_str() {
            "g" | "gx" => self.statement(Then::Show),
            "gexec" => self.statement(Then::Execute),
            "gset" => {
                let prefix = if arguments.is_empty() {
                    Vec::new()
                } else {
                    arguments.swap_remove(0)
                };
                self.statement(Then::Set(prefix))
            }
            "r" | "reset" => {
                self.buffer = Buffer::default();
                None
            }
            _ => Some(Item::Command { name, arguments }),
        }
    }

    /// Up to the end of the line, or to `\\`.
    fn arguments(&mut self) -> Vec<Text> {
        let mut arguments: Vec<Text> = Vec::new();
        let mut is_inside = false;
        loop {
            let rest = self.rest();
            if rest.is_empty() || rest.starts_with('\n') {
                return arguments;
            }
            if rest.starts_with('\\') {
                if rest.starts_with("\\\\") {
                    self.take(2);
                }
                return arguments;
            }
            if rest.starts_with([' ', '\t', '\r']) {
                self.take(1);
                is_inside = false;
                continue;
            }
            if !is_inside {
                arguments.push(Vec::new());
                is_inside = true;
            }
            let piece = if let Some((length, piece)) = variable(rest) {
                self.take(length);
                piece
            } else if let Some(length) = rest.starts_with('\'').then(|| literal(rest, true)) {
                Piece::Plain(unescaped(self.take(length)))
            } else {
                let length = rest.chars().next().map_or(0, char::len_utf8);
                Piece::Plain(self.take(length).to_owned())
            };
            if let Some(argument) = arguments.last_mut() {
                argument.push(piece);
            }
        }
    }
}

/// Length of a comment at the start.
fn comment(text: &str) -> Option<usize> {
    if text.starts_with("--") {
        return Some(text.find('\n').unwrap_or(text.len()));
    }
    if !text.starts_with("/*") {
        return None;
    }
    let mut depth = 0_usize;
    let mut at = 0;
    while at < text.len() {
        let rest = &text.as_bytes()[at..];
        if rest.starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return Some(at);
            }
        } else {
            at += 1;
        }
    }
    Some(text.len())
}

/// Length of a quoted thing at the start: a literal, an identifier, a dollar-quoted text.
fn quoted(text: &str, standard_strings: bool) -> Option<usize> {
    match text.as_bytes() {
        [b'\'', ..] => Some(literal(text, !standard_strings)),
        [b'e' | b'E', b'\'', ..] => Some(1 + literal(&text[1..], true)),
        [b'b' | b'B' | b'x' | b'X' | b'n' | b'N', b'\'', ..] => Some(1 + literal(&text[1..], false)),
        [b'u' | b'U', b'&', b'\'', ..] => Some(2 + literal(&text[2..], false)),
        [b'"', ..] => Some(text[1..].find('"').map_or(text.len(), |end| end + 2)),
        [b'$', ..] => {
            let tag_end = text[1..].find('$')? + 2;
            let tag = &text[..tag_end];
            let name = &tag[1..tag_end - 1];
            let is_tag =
                !name.starts_with(|c: char| c.is_ascii_digit()) && name.chars().all(|c| c.is_alphanumeric() || c == '_' || !c.is_ascii());
            is_tag.then(|| text[tag_end..].find(tag).map_or(text.len(), |end| 2 * tag_end + end))
        }
        _ => None,
    }
}

/// Length of a `'...'` at the start. A doubled quote is two literals next to each other, which comes to the same.
fn literal(text: &str, backslash_escapes: bool) -> usize {
    let mut bytes = text.bytes().enumerate().skip(1);
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'\\' if backslash_escapes => {
                bytes.next();
            }
            b'\'' if text.as_bytes().get(at + 1) == Some(&b'\'') => {
                bytes.next();
            }
            b'\'' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The value of an argument's `'...'`.
fn unescaped(literal: &str) -> String {
    let inner = literal.strip_prefix('\'').unwrap_or(literal);
    let inner = inner.strip_suffix('\'').unwrap_or(inner);
    let mut value = String::new();
    let mut characters = inner.chars().peekable();
    while let Some(character) = characters.next() {
        match (character, characters.peek()) {
            ('\'', Some('\'')) => {
                characters.next();
                value.push('\'');
            }
            ('\\', Some(next)) => {
                value.push(match next {
                    'n' => '\n',
                    't' => '\t',
                    'r' => '\r',
                    other => *other,
                });
                characters.next();
            }
            _ => value.push(character),
        }
    }
    value
}

/// Length of a word at the start.
fn identifier(text: &str) -> Option<usize> {
    let starts = |c: char| c.is_ascii_alphabetic() || c == '_' || !c.is_ascii();
    let goes_on = |c: char| starts(c) || c.is_ascii_digit() || c == '$';
    text.starts_with(starts).then(|| text.find(|c| !goes_on(c)).unwrap_or(text.len()))
}

/// A variable at the start, and its length.
fn variable(text: &str) -> Option<(usize, Piece)> {
    let rest = text.strip_prefix(':')?;
    let (open, close, quoting) = match rest.as_bytes() {
        [b'\'', ..] => ("'", "'", Quoting::Literal),
        [b'"', ..] => ("\"", "\"", Quoting::Identifier),
        [b'{', b'?', ..] => ("{?", "}", Quoting::Exists),
        _ => ("", "", Quoting::Bare),
    };
    let inner = &rest[open.len()..];
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || !c.is_ascii();
    let length = inner.find(|c| !is_name(c)).unwrap_or(inner.len());
    (length > 0 && inner[length..].starts_with(close)).then(|| {
        let name = inner[..length].to_owned();
        (1 + open.len() + length + close.len(), Piece::Variable { name, quoting })
    })
}

/// The words of a statement outside of parentheses, quotes and comments, in lower case.
pub fn outer_words(sql: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(character) = sql[at..].chars().next() {
        let rest = &sql[at..];
        if let Some(length) = comment(rest).or_else(|| quoted(rest, true)) {
            if depth == 0 && rest.starts_with('"') {
                words.push(rest[..length].trim_matches('"').to_owned());
            }
            at += length;
        } else if let Some(length) = identifier(rest) {
            if depth == 0 {
                words.push(rest[..length].to_lowercase());
            }
            at += length;
        } else {
            match character {
                '(' => depth += 1,
                ')' => depth = depth.saturating_sub(1),
                _ => {}
            }
            at += character.len_utf8();
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statements(text: &str) -> Vec<String> {
        let mut script = Script::new(text);
        std::iter::from_fn(|| script.next())
            .filter_map(|item| match item {
                Item::Statement { text, .. } => Some(resolved(&text, &Variables::new())),
                Item::Command { .. } => None,
            })
            .collect()
    }

    #[test]
    fn a_semicolon_ends_a_statement_only_outside_of_quotes_comments_and_parentheses() {
        let text = "-- no; \nselect ';', E'\\';', \";\", $$;$$, $a$;$$;$a$ /* ; /* ; */ ; */;create rule r as (a; b);x\\;y;\nz";
        assert_eq!(
            statements(text),
            [
                "select ';', E'\\';', \";\", $$;$$, $a$;$$;$a$ /* ; /* ; */ ; */",
                "create rule r as (a; b)",
                "x;y",
                "z"
            ]
        );
    }

    #[test]
    fn the_body_of_a_function_is_a_part_of_its_statement() {
        let function = "create or replace function f() returns int begin atomic select case when a then 1 end; select 2; end";
        assert_eq!(statements(&format!("{function}; begin; end;")), [function, "begin", "end"]);
    }

    #[test]
    fn data_of_copy_ends_with_a_dot() {
        let mut script = Script::new("copy t from stdin;\n1\tx\n\\.\nselect 1;");
        assert!(script.next().is_some());
        assert_eq!(script.copy_data(), b"1\tx\n");
        assert!(matches!(script.next(), Some(Item::Statement { line: 4, .. })));
    }

    #[test]
    fn variables_are_replaced_outside_of_quotes() {
        let mut script = Script::new("\\set name 'it''s' :a\nselect :name, :'a', :\"a\", ':a', a::text, :b;");
        let variables = Variables::from([("a".to_owned(), "x'y".to_owned())]);
        let Some(Item::Command { arguments, .. }) = script.next() else {
            panic!("no command")
        };
        let arguments: Vec<_> = arguments.iter().map(|argument| resolved(argument, &variables)).collect();
        assert_eq!(arguments, ["name", "it's", "x'y"]);
        let Some(Item::Statement { text, .. }) = script.next() else {
            panic!("no statement")
        };
        assert_eq!(resolved(&text, &variables), "select :name, 'x''y', \"x'y\", ':a', a::text, :b");
    }

    #[test]
    fn only_the_outer_words_count() {
        assert_eq!(outer_words("select (a order by b) from \"T\" -- order by"), ["select", "from", "T"]);
    }
}
