//! Rows of json: json_populate_record, json_to_record, their sets and their jsonb forms (`populate_record` of `jsonfuncs.c`).
//!
//! The row type is that of the first argument, or what a column definition list says: the binder then passes, behind the declared
//! arguments, a row of NULLs with these names and types.

use super::invalid;
use super::text::{Kind, kind, parts, unescape};
use crate::Kernel::{Set, Typed};
use crate::kernel::Rows;
use crate::kernels::macros::kernels;
use crate::{CallTypes, Context};
use curia_types::array::MAX_DIMENSIONS;
use curia_types::{ArrayValue, Datum, IoContext, Json, PgType, RecordValue, Result, SqlError, SqlState, oid, text_io, type_info};
use std::sync::Arc;

/// A part of json text or of a document.
#[derive(Clone, Copy)]
enum Source<'a> {
    Text(&'a str),
    Document(&'a Json),
}

impl<'a> Source<'a> {
    fn of(value: &'a Datum) -> Option<Source<'a>> {
        match value {
            Datum::Text(s) => Some(Source::Text(s.trim())),
            Datum::Jsonb(j) => Some(Source::Document(j)),
            _ => None,
        }
    }

    fn kind(self) -> Kind {
        match self {
            Source::Text(s) => kind(s),
            Source::Document(j) => match j {
                Json::Null => Kind::Null,
                Json::Bool(_) => Kind::Boolean,
                Json::Number(_) => Kind::Number,
                Json::String(_) => Kind::String,
                Json::Array(_) => Kind::Array,
                Json::Object(_) => Kind::Object,
            },
        }
    }

    /// The last member of a name.
    fn member(self, name: &str) -> Result<Option<Source<'a>>> {
        match self {
            Source::Text(s) => Ok(super::text::member(s, name)?.map(Source::Text)),
            Source::Document(j) => Ok(j.member(name).map(Source::Document)),
        }
    }

    fn is_empty_object(self) -> bool {
        match self {
            Source::Text(s) => parts(s).is_empty(),
            Source::Document(Json::Object(o)) => o.is_empty(),
            Source::Document(_) => false,
        }
    }

    fn elements(self) -> Vec<Source<'a>> {
        match self {
            Source::Text(s) => parts(s).into_iter().map(|(_, v)| Source::Text(v)).collect(),
            Source::Document(Json::Array(a)) => a.iter().map(Source::Document).collect(),
            Source::Document(_) => Vec::new(),
        }
    }

    /// What a type's input reads: a string without its quotes, everything else as it is.
    fn text(self) -> Result<String> {
        match self {
            Source::Text(s) if kind(s) == Kind::String => unescape(s),
            Source::Text(s) => Ok(s.to_owned()),
            Source::Document(Json::String(s)) => Ok(s.to_string()),
            Source::Document(j) => Ok(j.to_string()),
        }
    }
}

/// Names and types of a row's columns.
struct Shape {
    columns: Vec<(Arc<str>, PgType)>,
    /// Rows carry the names: their type has none.
    anonymous: bool,
}

impl Shape {
    fn of_type(ty: u32, io: &IoContext) -> Result<Shape> {
        let attributes = io.attributes(type_info::base_type(ty))?;
        Ok(Shape {
            columns: attributes.iter().map(|a| (a.name.clone(), a.ty)).collect(),
            anonymous: false,
        })
    }

    fn of_record(record: &RecordValue) -> Shape {
        let columns = record.iter().enumerate();
        Shape {
            columns: columns.map(|(i, (ty, _))| (Arc::from(&*record.name(i)), *ty)).collect(),
            anonymous: true,
        }
    }

    fn record(&self, values: Vec<Datum>) -> Datum {
        let names = self.columns.iter().map(|(name, _)| Box::from(&**name));
        Datum::Record(Arc::new(RecordValue {
            names: self.anonymous.then(|| names.collect()),
            fields: self.columns.iter().map(|(_, ty)| *ty).zip(values).collect(),
        }))
    }
}

fn is_row(ty: u32) -> bool {
    ty == oid::RECORD || type_info::is_composite(ty)
}

/// The value of a column or element.
fn field(ty: PgType, name: Option<&str>, source: Option<Source<'_>>, base: Option<&Datum>, io: &IoContext) -> Result<Datum> {
    let Some(source) = source.filter(|s| s.kind() != Kind::Null) else {
        io.check_domain(ty.oid, &Datum::Null)?;
        return Ok(Datum::Null);
    };
    let inner = type_info::base_of(ty);
    let is_string = source.kind() == Kind::String;
    let value = match type_info::element_of(inner.oid) {
        Some(element) if !is_string => array(PgType::with_typmod(element, inner.typmod), name, source, io)?,
        None if !is_string && is_row(inner.oid) => composite(inner.oid, source, base, io)?,
        _ => return scalar(ty, source, io),
    };
    io.check_domain(ty.oid, &value)?;
    Ok(value)
}

fn scalar(ty: PgType, source: Source<'_>, io: &IoContext) -> Result<Datum> {
    let base = type_info::base_type(ty.oid);
    let value = match (source, base) {
        (Source::Document(j), oid::JSONB) => Datum::Jsonb(j.clone()),
        (Source::Document(j), oid::JSON) => Datum::text(j.to_string()),
        (Source::Text(s), oid::JSONB) => Datum::Jsonb(Json::parse(s)?),
        (Source::Text(s), oid::JSON) => Datum::text(s),
        _ => return text_io::parse(ty, &source.text()?, io),
    };
    io.check_domain(ty.oid, &value)?;
    Ok(value)
}

/// An array being filled. How many dimensions it has is known where the first element is that is no array.
struct Filling<'a> {
    element: PgType,
    column: Option<&'a str>,
    io: &'a IoContext,
    dimensions: usize,
    lengths: Vec<Option<i32>>,
    counts: Vec<i32>,
    elements: Vec<Datum>,
}

impl Filling<'_> {
    fn expected_array(&self, depth: usize) -> SqlError {
        let error = SqlError::new(SqlState::INVALID_TEXT_REPRESENTATION, "expected JSON array");
        let indices: String = self.counts.iter().take(depth).map(|i| format!("[{i}]")).collect();
        match (self.column, depth) {
            (Some(column), 0) => error.hint(format!("See the value of key \"{column}\".")),
            (None, 0) => error,
            (Some(column), _) => error.hint(format!("See the array element {indices} of key \"{column}\".")),
            (None, _) => error.hint(format!("See the array element {indices}.")),
        }
    }

    fn level(&mut self, source: Source<'_>, depth: usize) -> Result<()> {
        if source.kind() != Kind::Array {
            return Err(self.expected_array(depth - 1));
        }
        if depth > MAX_DIMENSIONS {
            return Err(SqlError::new(
                SqlState::PROGRAM_LIMIT_EXCEEDED,
                format!("number of array dimensions ({depth}) exceeds the maximum allowed ({MAX_DIMENSIONS})"),
            ));
        }
        self.counts.resize(self.counts.len().max(depth), 0);
        self.lengths.resize(self.lengths.len().max(depth), None);
        let elements = source.elements();
        if self.dimensions == 0 && elements.first().is_none_or(|e| e.kind() != Kind::Array) {
            self.dimensions = depth;
        }
        for element in elements {
            if self.dimensions > 0 && depth >= self.dimensions {
                let value = field(self.element, None, Some(element), None, self.io)?;
                self.elements.push(value);
                self.counts[depth - 1] += 1;
            } else {
                self.level(element, depth + 1)?;
                self.close(depth)?;
            }
        }
        Ok(())
    }

    /// The end of one array of a dimension: all of them have one length.
    fn close(&mut self, dimension: usize) -> Result<()> {
        let count = std::mem::take(&mut self.counts[dimension]);
        if *self.lengths[dimension].get_or_insert(count) != count {
            return Err(SqlError::new(SqlState::INVALID_TEXT_REPRESENTATION, "malformed JSON array")
                .detail("Multidimensional arrays must have sub-arrays with matching dimensions."));
        }
        if dimension > 0 {
            self.counts[dimension - 1] += 1;
        }
        Ok(())
    }
}

fn array(element: PgType, column: Option<&str>, source: Source<'_>, io: &IoContext) -> Result<Datum> {
    let mut filling = Filling {
        element,
        column,
        io,
        dimensions: 0,
        lengths: Vec::new(),
        counts: Vec::new(),
        elements: Vec::new(),
    };
    filling.level(source, 1)?;
    filling.close(0)?;
    let dimensions = if filling.elements.is_empty() {
        Vec::new()
    } else {
        filling.lengths.iter().map(|l| (l.unwrap_or(0), 1)).collect()
    };
    Ok(Datum::Array(Arc::new(ArrayValue {
        element: element.oid,
        dimensions,
        elements: filling.elements,
    })))
}

fn composite(ty: u32, source: Source<'_>, base: Option<&Datum>, io: &IoContext) -> Result<Datum> {
    let base = match base {
        Some(Datum::Record(r)) => Some(&**r),
        _ => None,
    };
    let shape = match base {
        Some(r) if ty == oid::RECORD => Shape::of_record(r),
        _ => Shape::of_type(ty, io)?,
    };
    row(&shape, "populate_composite", source, base, io)
}

/// One row from an object.
fn row(shape: &Shape, function: &str, source: Source<'_>, base: Option<&RecordValue>, io: &IoContext) -> Result<Datum> {
    match source.kind() {
        Kind::Object => {}
        Kind::Array => return Err(invalid(format!("cannot call {function} on an array"))),
        _ => return Err(invalid(format!("cannot call {function} on a scalar"))),
    }
    if let Some(base) = base
        && source.is_empty_object()
    {
        return Ok(shape.record(base.iter().map(|f| f.1.clone()).collect()));
    }
    let mut values = Vec::with_capacity(shape.columns.len());
    for (i, (name, ty)) in shape.columns.iter().enumerate() {
        let own = base.and_then(|b| b.get(i)).map(|f| &f.1);
        let found = source.member(name)?;
        values.push(match (own, found) {
            (Some(own), None) => own.clone(),
            _ => field(*ty, Some(name), found, own, io)?,
        });
    }
    Ok(shape.record(values))
}

/// What a call works on.
struct Call<'a> {
    function: &'static str,
    base: Option<&'a RecordValue>,
    source: Option<Source<'a>>,
    shape: Shape,
    /// The declared type of the first argument, which may be a domain; 0 without one.
    ty: u32,
}

fn mismatch(detail: String) -> SqlError {
    SqlError::new(
        SqlState::DATATYPE_MISMATCH,
        "function return row and query-specified return row do not match",
    )
    .detail(detail)
}

impl<'a> Call<'a> {
    /// `declared`: how many arguments the function has; `has_base`: whether the first is a row.
    fn new(
        function: &'static str,
        declared: usize,
        has_base: bool,
        types: &CallTypes<'_>,
        args: &'a [Datum],
        io: &IoContext,
    ) -> Result<Call<'a>> {
        let base = match &args[0] {
            Datum::Record(r) if has_base => Some(&**r),
            _ => None,
        };
        let ty = if has_base { types.args.first().map_or(0, |t| t.oid) } else { 0 };
        let template = match args.get(declared) {
            Some(Datum::Record(r)) => Some(&**r),
            _ => None,
        };
        let shape = if ty != 0 && type_info::is_composite(type_info::base_type(ty)) {
            Shape::of_type(ty, io)?
        } else if let Some(template) = template {
            if let Some(base) = base {
                check_row(base, template)?;
            }
            Shape::of_record(template)
        } else if let Some(base) = base {
            Shape::of_record(base)
        } else if has_base && ty != oid::RECORD {
            let message = format!("first argument of {function} must be a row type");
            return Err(SqlError::new(SqlState::DATATYPE_MISMATCH, message));
        } else {
            let message = format!("could not determine row type for result of {function}");
            return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message)
                .hint("Provide a non-null record argument, or call the function in the FROM clause using a column definition list."));
        };
        Ok(Call {
            function,
            base,
            source: args.get(usize::from(has_base)).and_then(Source::of),
            shape,
            ty,
        })
    }

    fn row(&self, source: Source<'_>, io: &IoContext) -> Result<Datum> {
        let row = row(&self.shape, self.function, source, self.base, io)?;
        io.check_domain(self.ty, &row)?;
        Ok(row)
    }
}

/// A row argument without a type of its own has to be what the column definition list says.
fn check_row(base: &RecordValue, template: &RecordValue) -> Result<()> {
    let (has, wants) = (base.len(), template.len());
    if has != wants {
        let plural = if has == 1 { "" } else { "s" };
        return Err(mismatch(format!(
            "Returned row contains {has} attribute{plural}, but query expects {wants}."
        )));
    }
    for (i, ((own, _), (wanted, _))) in base.iter().zip(template.iter()).enumerate() {
        if own.oid != wanted.oid {
            return Err(mismatch(format!(
                "Returned type {} at ordinal position {}, but query expects {}.",
                type_info::format_type(own.oid, -1),
                i + 1,
                type_info::format_type(wanted.oid, -1)
            )));
        }
    }
    Ok(())
}

fn record(
    function: &'static str,
    declared: usize,
    has_base: bool,
    cx: &dyn Context,
    types: &CallTypes<'_>,
    args: &[Datum],
) -> Result<Datum> {
    if has_base && args[0].is_null() && args[1].is_null() {
        return Ok(Datum::Null);
    }
    let call = Call::new(function, declared, has_base, types, args, cx.io())?;
    match call.source {
        Some(source) => call.row(source, cx.io()),
        None => Ok(args[0].clone()),
    }
}

fn set(function: &'static str, declared: usize, has_base: bool, cx: &dyn Context, types: &CallTypes<'_>, args: &[Datum]) -> Result<Rows> {
    let call = Call::new(function, declared, has_base, types, args, cx.io())?;
    let Some(source) = call.source else {
        return Ok(Box::new(std::iter::empty()));
    };
    match (source, source.kind()) {
        (_, Kind::Array) => {}
        (Source::Document(_), _) => return Err(invalid(format!("cannot call {function} on a non-array"))),
        (_, Kind::Object) => return Err(invalid(format!("cannot call {function} on an object"))),
        _ => return Err(invalid(format!("cannot call {function} on a scalar"))),
    }
    let mut rows = Vec::new();
    for element in source.elements() {
        if element.kind() != Kind::Object {
            return Err(invalid(format!("argument of {function} must be an array of objects")));
        }
        rows.push(Ok(vec![call.row(element, cx.io())?]));
    }
    Ok(Box::new(rows.into_iter()))
}

kernels! {
    "json_populate_record" => Typed(|cx, t, a| record("json_populate_record", 3, true, cx, t, a));
    "jsonb_populate_record" => Typed(|cx, t, a| record("jsonb_populate_record", 2, true, cx, t, a));
    "json_to_record" => Typed(|cx, t, a| record("json_to_record", 1, false, cx, t, a));
    "jsonb_to_record" => Typed(|cx, t, a| record("jsonb_to_record", 1, false, cx, t, a));
    "json_populate_recordset" => Set(|cx, t, a| set("json_populate_recordset", 3, true, cx, t, a));
    "jsonb_populate_recordset" => Set(|cx, t, a| set("jsonb_populate_recordset", 2, true, cx, t, a));
    "json_to_recordset" => Set(|cx, t, a| set("json_to_recordset", 1, false, cx, t, a));
    "jsonb_to_recordset" => Set(|cx, t, a| set("jsonb_to_recordset", 1, false, cx, t, a));
}
