//! Points, lines and segments: slopes, crossings, nearest points and distances (`geo_ops.c`). Comparisons allow for
//! [`EPSILON`], as PostgreSQL's do. A distance is NaN where there is no nearest point.

use curia_types::geometry::{EPSILON, Line, Point, Segment, near};

pub(super) fn zero(a: f64) -> bool {
    a.abs() <= EPSILON
}
pub(super) fn less(a: f64, b: f64) -> bool {
    a + EPSILON < b
}
pub(super) fn at_most(a: f64, b: f64) -> bool {
    a <= b + EPSILON
}

/// The length of (x, y).
pub(super) fn hypot(x: f64, y: f64) -> f64 {
    if x.is_infinite() || y.is_infinite() {
        return f64::INFINITY;
    }
    let (x, y) = (x.abs(), y.abs());
    let (large, small) = if x < y { (y, x) } else { (x, y) };
    if small == 0.0 {
        return large + small; // NaN stays NaN
    }
    let ratio = small / large;
    large * (1.0 + ratio * ratio).sqrt()
}

pub(super) fn distance(p: Point, q: Point) -> f64 {
    hypot(p.x - q.x, p.y - q.y)
}

pub(super) fn middle(p: Point, q: Point) -> Point {
    Point {
        x: (p.x + q.x) / 2.0,
        y: (p.y + q.y) / 2.0,
    }
}

/// The slope of a line that is perpendicular to the one through two points.
fn inverse_slope(p: Point, q: Point) -> f64 {
    if near(p.x, q.x) {
        0.0
    } else if near(p.y, q.y) {
        f64::INFINITY
    } else {
        (p.x - q.x) / (q.y - p.y)
    }
}

pub(super) fn slope(s: &Segment) -> f64 {
    s[0].slope(s[1])
}

/// Whether two slopes are those of perpendicular segments.
pub(super) fn perpendicular_segments(s: &Segment, t: &Segment) -> bool {
    near(slope(s), inverse_slope(t[0], t[1]))
}

pub(super) fn length(s: &Segment) -> f64 {
    distance(s[0], s[1])
}

pub(super) fn line_slope(l: &Line) -> f64 {
    if zero(l.a) {
        0.0
    } else if zero(l.b) {
        f64::INFINITY
    } else {
        l.a / -l.b
    }
}

/// The slope of what is perpendicular to a line.
fn line_inverse_slope(l: &Line) -> f64 {
    if zero(l.a) {
        f64::INFINITY
    } else if zero(l.b) {
        0.0
    } else {
        l.b / l.a
    }
}

pub(super) fn on_line(p: Point, l: &Line) -> bool {
    zero(l.a * p.x + l.b * p.y + l.c)
}

pub(super) fn on_segment(p: Point, s: &Segment) -> bool {
    near(distance(p, s[0]) + distance(p, s[1]), length(s))
}

pub(super) fn same_line(l: &Line, m: &Line) -> bool {
    if [l.a, l.b, l.c, m.a, m.b, m.c].iter().any(|v| v.is_nan()) {
        let equal = |a: f64, b: f64| a == b || (a.is_nan() && b.is_nan());
        return equal(l.a, m.a) && equal(l.b, m.b) && equal(l.c, m.c);
    }
    let ratio = if !zero(m.a) {
        l.a / m.a
    } else if !zero(m.b) {
        l.b / m.b
    } else if !zero(m.c) {
        l.c / m.c
    } else {
        1.0
    };
    near(l.a, ratio * m.a) && near(l.b, ratio * m.b) && near(l.c, ratio * m.c)
}

pub(super) fn perpendicular_lines(l: &Line, m: &Line) -> bool {
    if zero(l.a) {
        zero(m.b)
    } else if zero(m.a) {
        zero(l.b)
    } else if zero(l.b) {
        zero(m.a)
    } else if zero(m.b) {
        zero(l.a)
    } else {
        near((l.a * m.a) / (l.b * m.b), -1.0)
    }
}

/// Where two lines cross; `None` when they are parallel.
pub(super) fn cross_lines(l: &Line, m: &Line) -> Option<Point> {
    let (l, m) = if !zero(l.b) {
        (l, m)
    } else if !zero(m.b) {
        (m, l)
    } else {
        return None;
    };
    if near(m.a, l.a * (m.b / l.b)) {
        return None;
    }
    let x = (l.b * m.c - m.b * l.c) / (l.a * m.b - m.a * l.b);
    let y = -((l.a * x + l.c) / l.b);
    Some(Point { x: x + 0.0, y: y + 0.0 })
}

pub(super) fn line_distance(l: &Line, m: &Line) -> f64 {
    if cross_lines(l, m).is_some() {
        return 0.0;
    }
    let usable = |v: f64| !zero(v) && !v.is_nan();
    let ratio = if usable(l.a) && usable(m.a) {
        l.a / m.a
    } else if usable(l.b) && usable(m.b) {
        l.b / m.b
    } else {
        1.0
    };
    (l.c - ratio * m.c).abs() / hypot(l.a, l.b)
}

/// Where a segment meets a line.
pub(super) fn cross_line(s: &Segment, l: &Line) -> Option<Point> {
    let at = cross_lines(&Line::through(s[0], slope(s)), l)?;
    if !on_segment(at, s) {
        return None;
    }
    // An end of the segment is said exactly.
    Some(s.iter().copied().find(|end| end.same(at)).unwrap_or(at))
}

pub(super) fn cross_segments(s: &Segment, t: &Segment) -> Option<Point> {
    cross_line(s, &Line::through(t[0], slope(t))).filter(|at| on_segment(*at, t))
}

/// A nearest point and how far it is.
pub(super) type Nearest = (Point, f64);

pub(super) fn line_to_point(l: &Line, p: Point) -> Nearest {
    match cross_lines(&Line::through(p, line_inverse_slope(l)), l) {
        Some(at) => (at, distance(at, p)),
        None => (p, f64::NAN),
    }
}

pub(super) fn segment_to_line(s: &Segment, l: &Line) -> Nearest {
    if let Some(at) = cross_line(s, l) {
        return (at, 0.0);
    }
    let (first, second) = (line_to_point(l, s[0]).1, line_to_point(l, s[1]).1);
    if first < second { (s[0], first) } else { (s[1], second) }
}

pub(super) fn segment_to_point(s: &Segment, p: Point) -> Nearest {
    let (at, _) = segment_to_line(s, &Line::through(p, inverse_slope(s[0], s[1])));
    (at, distance(at, p))
}

/// The nearer of two; the first when neither is.
pub(super) fn nearer(a: Nearest, b: Nearest) -> Nearest {
    if b.1 < a.1 { b } else { a }
}

/// The point of `s` that is nearest to `t`.
pub(super) fn segment_to_segment(s: &Segment, t: &Segment) -> Nearest {
    if let Some(at) = cross_segments(s, t) {
        return (at, 0.0);
    }
    let from_ends = nearer(segment_to_point(s, t[0]), segment_to_point(s, t[1]));
    s.iter()
        .fold(from_ends, |best, end| nearer(best, (*end, segment_to_point(t, *end).1)))
}
