//! Geometric types: point, lseg, line, box, path, polygon, circle (`geo_ops.c`): their values, text and wire forms. What is computed
//! with them is in `curia-functions`.

use crate::text_io::is_space;
use crate::{IoContext, PgType, Result, SqlError, SqlState, float, oid};

/// A value of a geometric type.
#[derive(Clone, Debug, PartialEq)]
pub enum Geometry {
    /// point
    Point(Point),
    /// lseg
    Segment(Segment),
    /// line
    Line(Line),
    /// box
    Box(Rectangle),
    /// path
    Path(Path),
    /// polygon: its corners, one at least.
    Polygon(Vec<Point>),
    /// circle
    Circle(Circle),
}

/// A point of the plane.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(missing_docs)] // coordinates
pub struct Point {
    pub x: f64,
    pub y: f64,
}

/// The two ends of a line segment.
pub type Segment = [Point; 2];

/// The points where ax + by + c = 0; not both of a and b are zero.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(missing_docs)] // coefficients
pub struct Line {
    pub a: f64,
    pub b: f64,
    pub c: f64,
}

/// A box, by its upper right and lower left corner.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(missing_docs)] // corners
pub struct Rectangle {
    pub high: Point,
    pub low: Point,
}

/// Connected points, one at least.
#[derive(Clone, Debug, PartialEq)]
pub struct Path {
    /// Whether the last point is connected with the first.
    pub closed: bool,
    /// In their order.
    pub points: Vec<Point>,
}

/// A circle.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(missing_docs)] // centre and radius
pub struct Circle {
    pub center: Point,
    pub radius: f64,
}

/// What counts as zero.
pub const EPSILON: f64 = 1e-6;

impl Rectangle {
    /// The box of two opposite corners. NaN is larger than every number.
    pub fn of(p: Point, q: Point) -> Rectangle {
        let (high_x, low_x) = if p.x > q.x || p.x.is_nan() { (p.x, q.x) } else { (q.x, p.x) };
        let (high_y, low_y) = if p.y > q.y || p.y.is_nan() { (p.y, q.y) } else { (q.y, p.y) };
        Rectangle {
            high: Point { x: high_x, y: high_y },
            low: Point { x: low_x, y: low_y },
        }
    }
}

impl Line {
    /// The line through a point with a slope, which may be infinite.
    pub fn through(p: Point, slope: f64) -> Line {
        let (a, b, c) = if slope.is_infinite() {
            (-1.0, 0.0, p.x)
        } else if slope == 0.0 {
            (0.0, -1.0, p.y)
        } else {
            (slope, -1.0, p.y - slope * p.x + 0.0)
        };
        Line { a, b, c }
    }
}

impl Point {
    /// Whether two points are the same as PostgreSQL sees it: but for [`EPSILON`].
    pub fn same(self, q: Point) -> bool {
        if self.x.is_nan() || self.y.is_nan() || q.x.is_nan() || q.y.is_nan() {
            let equal = |a: f64, b: f64| a == b || (a.is_nan() && b.is_nan());
            return equal(self.x, q.x) && equal(self.y, q.y);
        }
        near(self.x, q.x) && near(self.y, q.y)
    }
    /// The slope of the line through two points.
    pub fn slope(self, q: Point) -> f64 {
        if near(self.x, q.x) {
            f64::INFINITY
        } else if near(self.y, q.y) {
            0.0
        } else {
            (self.y - q.y) / (self.x - q.x)
        }
    }
}

/// Whether two numbers are equal but for [`EPSILON`].
pub fn near(a: f64, b: f64) -> bool {
    a == b || (a - b).abs() <= EPSILON
}

/// PostgreSQL's name of a geometric type.
fn name(ty: u32) -> &'static str {
    match ty {
        oid::POINT => "point",
        oid::LSEG => "lseg",
        oid::LINE => "line",
        oid::BOX => "box",
        oid::PATH => "path",
        oid::POLYGON => "polygon",
        _ => "circle",
    }
}

/// Whether a type is a geometric one.
pub fn is_geometric(ty: u32) -> bool {
    matches!(
        ty,
        oid::POINT | oid::LSEG | oid::LINE | oid::BOX | oid::PATH | oid::POLYGON | oid::CIRCLE
    )
}

fn invalid(message: &str) -> SqlError {
    SqlError::new(SqlState::INVALID_TEXT_REPRESENTATION, message)
}

/// Reads text from left to right.
struct Reader<'a> {
    ty: u32,
    whole: &'a str,
    rest: &'a str,
}

impl<'a> Reader<'a> {
    fn syntax(&self) -> SqlError {
        invalid(&format!("invalid input syntax for type {}: \"{}\"", name(self.ty), self.whole))
    }
    fn spaces(&mut self) {
        self.rest = self.rest.trim_start_matches(is_space);
    }
    fn eat(&mut self, c: char) -> bool {
        match self.rest.strip_prefix(c) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }
    fn expect(&mut self, c: char) -> Result<()> {
        if self.eat(c) { Ok(()) } else { Err(self.syntax()) }
    }
    fn end(&self) -> Result<()> {
        if self.rest.is_empty() { Ok(()) } else { Err(self.syntax()) }
    }
    fn number(&mut self) -> Result<f64> {
        self.spaces();
        let end = self
            .rest
            .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.')))
            .unwrap_or(self.rest.len());
        let v = float::parse_f64(&self.rest[..end]).map_err(|e| match e.code() {
            SqlState::INVALID_TEXT_REPRESENTATION => self.syntax(),
            _ => e,
        })?;
        self.rest = &self.rest[end..];
        self.spaces();
        Ok(v)
    }
    /// `x,y` or `(x,y)`
    fn point(&mut self) -> Result<Point> {
        self.spaces();
        let delimited = self.eat('(');
        let x = self.number()?;
        self.expect(',')?;
        let y = self.number()?;
        if delimited {
            self.expect(')')?;
            self.spaces();
        }
        Ok(Point { x, y })
    }
    /// Whether the only parenthesis that opens is the next character.
    fn one_parenthesis(&self) -> bool {
        self.rest.starts_with('(') && self.rest.rfind('(') == Some(0)
    }
    /// So many points within optional delimiters; whether these were brackets.
    fn points(&mut self, count: usize, may_be_open: bool) -> Result<(Vec<Point>, bool)> {
        self.spaces();
        let open = self.rest.starts_with('[');
        let mut delimited = open;
        if open {
            if !may_be_open {
                return Err(self.syntax());
            }
            self.eat('[');
        } else if self.rest.starts_with('(') {
            let inner = self.rest[1..].trim_start_matches(is_space);
            if inner.starts_with('(') || self.one_parenthesis() {
                delimited = true;
                self.rest = inner;
            }
        }
        let mut points = Vec::with_capacity(count.min(1024));
        for _ in 0..count {
            points.push(self.point()?);
            self.eat(',');
        }
        if delimited {
            if !(self.eat(')') || open && self.eat(']')) {
                return Err(self.syntax());
            }
            self.spaces();
        }
        Ok((points, open))
    }
    /// How many points a list has, by its commas.
    fn count(&self) -> Result<usize> {
        match self.whole.matches(',').count() {
            commas if commas % 2 == 1 => Ok(commas.div_ceil(2)),
            _ => Err(self.syntax()),
        }
    }
    fn path(&mut self) -> Result<Path> {
        let count = self.count()?;
        self.spaces();
        let outer = self.one_parenthesis();
        if outer {
            self.eat('(');
        }
        let (points, open) = self.points(count, true)?;
        if outer {
            self.expect(')')?;
            self.spaces();
        }
        Ok(Path { closed: !open, points })
    }
    fn line(&mut self) -> Result<Line> {
        self.spaces();
        if self.eat('{') {
            let a = self.number()?;
            self.expect(',')?;
            let b = self.number()?;
            self.expect(',')?;
            let c = self.number()?;
            self.expect('}')?;
            self.spaces();
            self.end()?;
            return checked_line(Line { a, b, c }, SqlState::INVALID_TEXT_REPRESENTATION);
        }
        let (points, _) = self.points(2, true)?;
        self.end()?;
        if points[0].same(points[1]) {
            return Err(invalid("invalid line specification: must be two distinct points"));
        }
        Ok(Line::through(points[0], points[0].slope(points[1])))
    }
    fn circle(&mut self) -> Result<Circle> {
        self.spaces();
        let angled = self.eat('<');
        let mut delimited = angled;
        if !angled && self.rest.starts_with('(') {
            let inner = self.rest[1..].trim_start_matches(is_space);
            if inner.starts_with('(') {
                delimited = true;
                self.rest = inner;
            }
        }
        let center = self.point()?;
        self.eat(',');
        let radius = self.number()?;
        if radius < 0.0 {
            return Err(self.syntax());
        }
        if delimited {
            if !self.eat(')') && !self.eat('>') {
                return Err(self.syntax());
            }
            self.spaces();
        }
        Ok(Circle { center, radius })
    }
}

fn checked_line(line: Line, state: SqlState) -> Result<Line> {
    if line.a.abs() <= EPSILON && line.b.abs() <= EPSILON {
        return Err(SqlError::new(state, "invalid line specification: A and B cannot both be zero"));
    }
    Ok(line)
}

impl Geometry {
    /// The OID of its type.
    pub fn type_oid(&self) -> u32 {
        match self {
            Geometry::Point(_) => oid::POINT,
            Geometry::Segment(_) => oid::LSEG,
            Geometry::Line(_) => oid::LINE,
            Geometry::Box(_) => oid::BOX,
            Geometry::Path(_) => oid::PATH,
            Geometry::Polygon(_) => oid::POLYGON,
            Geometry::Circle(_) => oid::CIRCLE,
        }
    }

    /// Reads the text form of a geometric type.
    ///
    /// Errors: 22P02 on syntax, 22003 for numbers out of range.
    pub fn parse(ty: u32, s: &str) -> Result<Geometry> {
        let mut r = Reader { ty, whole: s, rest: s };
        let value = match ty {
            oid::POINT => Geometry::Point(r.point()?),
            oid::LSEG => {
                let (p, _) = r.points(2, true)?;
                Geometry::Segment([p[0], p[1]])
            }
            oid::LINE => Geometry::Line(r.line()?),
            oid::BOX => {
                let (p, _) = r.points(2, false)?;
                Geometry::Box(Rectangle::of(p[0], p[1]))
            }
            oid::PATH => Geometry::Path(r.path()?),
            oid::POLYGON => {
                let count = r.count()?;
                Geometry::Polygon(r.points(count, false)?.0)
            }
            _ => Geometry::Circle(r.circle()?),
        };
        r.end()?;
        Ok(value)
    }

    /// Appends the text form.
    pub fn write(&self, cx: &IoContext, out: &mut Vec<u8>) {
        let number = |v: f64, out: &mut Vec<u8>| float::write_f64(v, cx.extra_float_digits, out);
        let list = |points: &[Point], out: &mut Vec<u8>| {
            for (i, p) in points.iter().enumerate() {
                out.extend_from_slice(if i == 0 { b"(" } else { b",(" });
                number(p.x, out);
                out.push(b',');
                number(p.y, out);
                out.push(b')');
            }
        };
        let within = |points: &[Point], delimiters: [u8; 2], out: &mut Vec<u8>| {
            out.push(delimiters[0]);
            list(points, out);
            out.push(delimiters[1]);
        };
        match self {
            Geometry::Point(p) => list(&[*p], out),
            Geometry::Segment(s) => within(s, *b"[]", out),
            Geometry::Line(l) => {
                for (sign, v) in [(b'{', l.a), (b',', l.b), (b',', l.c)] {
                    out.push(sign);
                    number(v, out);
                }
                out.push(b'}');
            }
            Geometry::Box(r) => list(&[r.high, r.low], out),
            Geometry::Path(p) => within(&p.points, if p.closed { *b"()" } else { *b"[]" }, out),
            Geometry::Polygon(points) => within(points, *b"()", out),
            Geometry::Circle(c) => {
                out.push(b'<');
                list(&[c.center], out);
                out.push(b',');
                number(c.radius, out);
                out.push(b'>');
            }
        }
    }

    /// Reads PostgreSQL's wire form. `None` when it is damaged.
    ///
    /// Errors: 22P03 for values that PostgreSQL refuses too.
    pub fn decode(ty: PgType, bytes: &[u8]) -> Result<Option<Geometry>> {
        let refused = |what: &str| SqlError::new(SqlState::INVALID_BINARY_REPRESENTATION, what);
        let (closed, bytes) = match (ty.oid, bytes.split_first()) {
            (oid::PATH, None) => return Ok(None),
            (oid::PATH, Some((first, rest))) => (*first != 0, rest),
            _ => (false, bytes),
        };
        let (count, bytes) = match (ty.oid, bytes.split_first_chunk::<4>()) {
            (oid::PATH | oid::POLYGON, None) => return Ok(None),
            (oid::PATH | oid::POLYGON, Some((count, rest))) => match usize::try_from(i32::from_be_bytes(*count)) {
                Ok(count @ 1..) => (Some(count), rest),
                _ => return Err(refused(&format!("invalid number of points in external \"{}\" value", name(ty.oid)))),
            },
            _ => (None, bytes),
        };
        let (numbers, []) = bytes.as_chunks::<8>() else { return Ok(None) };
        if count.is_some_and(|count| Some(numbers.len()) != count.checked_mul(2)) {
            return Ok(None);
        }
        let v: Vec<f64> = numbers.iter().map(|n| f64::from_be_bytes(*n)).collect();
        let points = || v.as_chunks::<2>().0.iter().map(|[x, y]| Point { x: *x, y: *y }).collect::<Vec<_>>();
        Ok(Some(match (ty.oid, v.as_slice()) {
            (oid::POINT, &[x, y]) => Geometry::Point(Point { x, y }),
            (oid::LSEG, &[a, b, c, d]) => Geometry::Segment([Point { x: a, y: b }, Point { x: c, y: d }]),
            (oid::BOX, &[a, b, c, d]) => Geometry::Box(Rectangle::of(Point { x: a, y: b }, Point { x: c, y: d })),
            (oid::LINE, &[a, b, c]) => Geometry::Line(checked_line(Line { a, b, c }, SqlState::INVALID_BINARY_REPRESENTATION)?),
            (oid::PATH, _) => Geometry::Path(Path { closed, points: points() }),
            (oid::POLYGON, _) => Geometry::Polygon(points()),
            (oid::CIRCLE, &[_, _, radius]) if radius < 0.0 => return Err(refused("invalid radius in external \"circle\" value")),
            (oid::CIRCLE, &[x, y, radius]) => Geometry::Circle(Circle {
                center: Point { x, y },
                radius,
            }),
            _ => return Ok(None),
        }))
    }

    /// Appends PostgreSQL's wire form.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let put = |points: &[Point], out: &mut Vec<u8>| {
            for p in points {
                out.extend_from_slice(&p.x.to_be_bytes());
                out.extend_from_slice(&p.y.to_be_bytes());
            }
        };
        let counted = |points: &[Point], out: &mut Vec<u8>| {
            out.extend_from_slice(&(points.len() as i32).to_be_bytes());
            put(points, out);
        };
        match self {
            Geometry::Point(p) => put(&[*p], out),
            Geometry::Segment(s) => put(s, out),
            Geometry::Line(l) => {
                for v in [l.a, l.b, l.c] {
                    out.extend_from_slice(&v.to_be_bytes());
                }
            }
            Geometry::Box(r) => put(&[r.high, r.low], out),
            Geometry::Path(p) => {
                out.push(u8::from(p.closed));
                counted(&p.points, out);
            }
            Geometry::Polygon(points) => counted(points, out),
            Geometry::Circle(c) => {
                put(&[c.center], out);
                out.extend_from_slice(&c.radius.to_be_bytes());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(ty: u32, s: &str) -> String {
        let mut out = Vec::new();
        let value = Geometry::parse(ty, s).expect(s);
        value.write(&IoContext::default(), &mut out);
        let mut wire = Vec::new();
        value.encode(&mut wire);
        assert_eq!(Geometry::decode(PgType::with_typmod(ty, -1), &wire), Ok(Some(value)), "{s}");
        String::from_utf8(out).expect("text")
    }

    /// As PostgreSQL 15 answers.
    #[test]
    fn text_forms_are_read_and_written() {
        for (ty, given, written) in [
            (oid::POINT, " ( 1 , -2.5e1 ) ", "(1,-25)"),
            (oid::POINT, "10.0,10.0", "(10,10)"),
            (oid::LSEG, "(0,0),(1,1)", "[(0,0),(1,1)]"),
            (oid::LSEG, "0,0,1,1", "[(0,0),(1,1)]"),
            (oid::BOX, "(0,9,8,1)", "(8,9),(0,1)"),
            (oid::BOX, "((0,9),(8,1))", "(8,9),(0,1)"),
            (oid::PATH, "[(0,0),(1,1),(2,0)]", "[(0,0),(1,1),(2,0)]"),
            (oid::PATH, "((0,0),(1,1))", "((0,0),(1,1))"),
            (oid::PATH, "(1,2)", "((1,2))"),
            (oid::PATH, "(1,2,3,4)", "((1,2),(3,4))"),
            (oid::POLYGON, "((0,0),(1,1),(1,0))", "((0,0),(1,1),(1,0))"),
            (oid::POLYGON, "(1000,0,0,1000)", "((1000,0),(0,1000))"),
            (oid::LINE, "{1,-1,0}", "{1,-1,0}"),
            (oid::LINE, "(0,0),(0,5)", "{-1,0,0}"),
            (oid::CIRCLE, "<(1,2),3>", "<(1,2),3>"),
            (oid::CIRCLE, "((1,2),3)", "<(1,2),3>"),
            (oid::CIRCLE, "1,2,3", "<(1,2),3>"),
        ] {
            assert_eq!(shown(ty, given), written, "{given}");
        }
    }

    #[test]
    fn what_is_no_figure_is_refused() {
        for (ty, s) in [
            (oid::POINT, "1,2,3"),
            (oid::POINT, "(1,2"),
            (oid::BOX, "[(0,0),(1,1)]"),
            (oid::PATH, "(1,2),(3)"),
            (oid::LINE, "{0,0,1}"),
            (oid::LINE, "(1,1),(1,1)"),
            (oid::CIRCLE, "<(1,2),-3>"),
            (oid::POLYGON, ""),
        ] {
            assert!(Geometry::parse(ty, s).is_err(), "{s}");
        }
    }
}
