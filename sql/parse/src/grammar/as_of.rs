//! AS OF SYSTEM TIME, behind FROM or among the modes of a transaction. It speaks of the whole statement.

use super::Parser;
use crate::ast::AsOf;
use crate::keyword::Kw;
use crate::token::Tok;
use curia_types::{Result, SqlError, SqlState};

const AS_OF_SYSTEM_TIME: [Kw; 4] = [Kw::As, Kw::Of, Kw::System, Kw::Time];

impl Parser<'_> {
    pub(super) fn at_as_of(&self) -> bool {
        AS_OF_SYSTEM_TIME.iter().enumerate().all(|(ahead, kw)| self.kw_at(ahead, *kw))
    }

    /// The clause, where there is one.
    pub(super) fn as_of(&mut self) -> Result<()> {
        let pos = self.pos();
        if !self.accept_kws(&AS_OF_SYSTEM_TIME) {
            return Ok(());
        }
        let as_of = match self.peek() {
            Tok::Number => {
                let number = self.number()?;
                let csn = number.parse().map_err(|_| {
                    let message = format!("\"{number}\" is no commit sequence number");
                    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message).at(Some(pos))
                })?;
                AsOf::Csn(csn)
            }
            _ => {
                self.accept_kw(Kw::Interval);
                AsOf::Time(self.string()?)
            }
        };
        if self.queries > 0 || self.as_of.as_ref().is_some_and(|before| *before != as_of) {
            let message = "AS OF SYSTEM TIME must stand in the outermost query, once";
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, message).at(Some(pos)));
        }
        self.as_of = Some(as_of);
        Ok(())
    }
}
