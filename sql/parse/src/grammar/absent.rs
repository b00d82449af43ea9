//! DROP of kinds of objects that nobody can make here.

use super::*;

impl<'a> Parser<'a> {
    /// DROP of such a kind, after DROP; `None` when it is another kind.
    pub(super) fn drop_absent(&mut self, kw: Kw) -> Result<Option<Statement>> {
        let (kind, tag) = match kw {
            Kw::Collation => ("collation", "DROP COLLATION"),
            Kw::Conversion => ("conversion", "DROP CONVERSION"),
            Kw::Extension => ("extension", "DROP EXTENSION"),
            Kw::Language => ("language", "DROP LANGUAGE"),
            Kw::Procedural => {
                self.expect_kw(Kw::Language)?;
                ("language", "DROP LANGUAGE")
            }
            Kw::Server => ("server", "DROP SERVER"),
            Kw::Statistics => ("statistics object", "DROP STATISTICS"),
            Kw::Publication => ("publication", "DROP PUBLICATION"),
            Kw::Subscription => ("subscription", "DROP SUBSCRIPTION"),
            Kw::Tablespace => ("tablespace", "DROP TABLESPACE"),
            Kw::Event => {
                self.expect_kw(Kw::Trigger)?;
                ("event trigger", "DROP EVENT TRIGGER")
            }
            Kw::Access => {
                self.expect_kw(Kw::Method)?;
                ("access method", "DROP ACCESS METHOD")
            }
            Kw::Foreign if self.accept_kw(Kw::Table) => ("foreign table", "DROP FOREIGN TABLE"),
            Kw::Foreign => {
                self.expect_kw(Kw::Data)?;
                self.expect_kw(Kw::Wrapper)?;
                ("foreign-data wrapper", "DROP FOREIGN DATA WRAPPER")
            }
            Kw::Text => {
                self.expect_kw(Kw::Search)?;
                let kw = self.kw().ok_or_else(|| self.unexpected())?;
                self.bump();
                match kw {
                    Kw::Parser => ("text search parser", "DROP TEXT SEARCH PARSER"),
                    Kw::Dictionary => ("text search dictionary", "DROP TEXT SEARCH DICTIONARY"),
                    Kw::Template => ("text search template", "DROP TEXT SEARCH TEMPLATE"),
                    Kw::Configuration => ("text search configuration", "DROP TEXT SEARCH CONFIGURATION"),
                    _ => {
                        self.at -= 1;
                        return Err(self.unexpected());
                    }
                }
            }
            Kw::Trigger => return self.drop_of_table("trigger", "DROP TRIGGER").map(Some),
            Kw::Rule => return self.drop_of_table("rule", "DROP RULE").map(Some),
            Kw::Policy => return self.drop_of_table("policy", "DROP POLICY").map(Some),
            Kw::Operator if self.accept_kw(Kw::Class) => return self.drop_of_method("operator class", "DROP OPERATOR CLASS").map(Some),
            Kw::Operator if self.accept_kw(Kw::Family) => return self.drop_of_method("operator family", "DROP OPERATOR FAMILY").map(Some),
            Kw::Operator => return self.drop_operator().map(Some),
            Kw::Aggregate => return self.drop_aggregate().map(Some),
            Kw::Cast => return self.drop_cast().map(Some),
            Kw::Database => return self.drop_database().map(Some),
            _ => return Ok(None),
        };
        let if_exists = self.if_exists();
        let names = self.comma_list(|p| p.object_name())?;
        self.cascade();
        Ok(Some(absent(Absent::Named { kind, names }, if_exists, tag)))
    }

    fn drop_of_table(&mut self, kind: &'static str, tag: &'static str) -> Result<Statement> {
        let if_exists = self.if_exists();
        let name = self.column_id()?;
        self.expect_kw(Kw::On)?;
        let table = self.relation_name()?;
        self.cascade();
        Ok(absent(Absent::OfTable { kind, name, table }, if_exists, tag))
    }

    fn drop_of_method(&mut self, kind: &'static str, tag: &'static str) -> Result<Statement> {
        let if_exists = self.if_exists();
        let name = self.object_name()?;
        self.expect_kw(Kw::Using)?;
        let method = self.column_id()?;
        self.cascade();
        Ok(absent(Absent::OfMethod { kind, name, method }, if_exists, tag))
    }

    fn drop_operator(&mut self) -> Result<Statement> {
        let if_exists = self.if_exists();
        let schema = if self.op().is_some() {
            None
        } else {
            let schema = self.column_id()?;
            self.expect(Tok::Dot)?;
            Some(schema)
        };
        let name = self.op().ok_or_else(|| self.unexpected())?.to_owned();
        self.bump();
        let (left, right) = self.parenthesized(|p| {
            let left = p.operand_type()?;
            p.expect(Tok::Comma)?;
            Ok((left, p.operand_type()?))
        })?;
        self.cascade();
        let what = Absent::Operator { schema, name, left, right };
        Ok(absent(what, if_exists, "DROP OPERATOR"))
    }

    fn operand_type(&mut self) -> Result<Option<TypeName>> {
        if self.accept_kw(Kw::None) {
            return Ok(None);
        }
        self.type_name().map(Some)
    }

    fn drop_aggregate(&mut self) -> Result<Statement> {
        let if_exists = self.if_exists();
        let name = self.object_name()?;
        let args = self.parenthesized(|p| {
            if p.accept_op("*") {
                return Ok(None);
            }
            p.comma_list(|p| p.type_name()).map(Some)
        })?;
        self.cascade();
        Ok(absent(Absent::Aggregate { name, args }, if_exists, "DROP AGGREGATE"))
    }

    fn drop_cast(&mut self) -> Result<Statement> {
        let if_exists = self.if_exists();
        let (from, to) = self.parenthesized(|p| {
            let from = p.type_name()?;
            p.expect_kw(Kw::As)?;
            Ok((from, p.type_name()?))
        })?;
        self.cascade();
        Ok(absent(Absent::Cast { from, to }, if_exists, "DROP CAST"))
    }

    fn drop_database(&mut self) -> Result<Statement> {
        let if_exists = self.if_exists();
        let name = self.column_id()?;
        self.accept_kw(Kw::With);
        if self.peek() == Tok::LParen {
            self.paren_list(|p| p.expect_kw(Kw::Force))?;
        }
        let what = Absent::Named {
            kind: "database",
            names: vec![ObjectName { parts: vec![name] }],
        };
        Ok(absent(what, if_exists, "DROP DATABASE"))
    }
}

fn absent(what: Absent, if_exists: bool, tag: &'static str) -> Statement {
    Statement::DropAbsent(Box::new(DropAbsent { what, if_exists, tag }))
}
