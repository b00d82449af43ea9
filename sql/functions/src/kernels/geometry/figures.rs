//! Boxes, paths, polygons and circles (`geo_ops.c`).

use super::straight::*;
use curia_types::geometry::{Circle, Path, Point, Rectangle, Segment, near};

/// The larger and the smaller number; NaN is the largest.
fn larger(a: f64, b: f64) -> f64 {
    if a > b || a.is_nan() { a } else { b }
}
fn smaller(a: f64, b: f64) -> f64 {
    if a < b || b.is_nan() { a } else { b }
}

// Boxes.

pub(super) fn overlap(a: &Rectangle, b: &Rectangle) -> bool {
    at_most(a.low.x, b.high.x) && at_most(b.low.x, a.high.x) && at_most(a.low.y, b.high.y) && at_most(b.low.y, a.high.y)
}
pub(super) fn contains_box(a: &Rectangle, b: &Rectangle) -> bool {
    at_most(b.high.x, a.high.x) && at_most(a.low.x, b.low.x) && at_most(b.high.y, a.high.y) && at_most(a.low.y, b.low.y)
}
pub(super) fn in_box(p: Point, r: &Rectangle) -> bool {
    r.high.x >= p.x && r.low.x <= p.x && r.high.y >= p.y && r.low.y <= p.y
}
pub(super) fn box_area(r: &Rectangle) -> f64 {
    (r.high.x - r.low.x) * (r.high.y - r.low.y)
}
pub(super) fn box_center(r: &Rectangle) -> Point {
    middle(r.high, r.low)
}
pub(super) fn common(a: &Rectangle, b: &Rectangle) -> Option<Rectangle> {
    overlap(a, b).then(|| Rectangle {
        high: Point {
            x: smaller(a.high.x, b.high.x),
            y: smaller(a.high.y, b.high.y),
        },
        low: Point {
            x: larger(a.low.x, b.low.x),
            y: larger(a.low.y, b.low.y),
        },
    })
}
pub(super) fn bounding(a: &Rectangle, b: &Rectangle) -> Rectangle {
    Rectangle {
        high: Point {
            x: larger(a.high.x, b.high.x),
            y: larger(a.high.y, b.high.y),
        },
        low: Point {
            x: smaller(a.low.x, b.low.x),
            y: smaller(a.low.y, b.low.y),
        },
    }
}
/// Its corners, from the lower left one clockwise.
pub(super) fn corners(r: &Rectangle) -> [Point; 4] {
    [r.low, Point { x: r.low.x, y: r.high.y }, r.high, Point { x: r.high.x, y: r.low.y }]
}
fn sides(r: &Rectangle) -> [Segment; 4] {
    let [low, top_left, high, bottom_right] = corners(r);
    [[low, top_left], [high, top_left], [low, bottom_right], [high, bottom_right]]
}
pub(super) fn box_meets_segment(r: &Rectangle, s: &Segment) -> bool {
    overlap(r, &Rectangle::of(s[0], s[1]))
        && (in_box(s[0], r) || in_box(s[1], r) || sides(r).iter().any(|side| cross_segments(side, s).is_some()))
}
pub(super) fn box_meets_line(r: &Rectangle, l: &curia_types::geometry::Line) -> bool {
    sides(r).iter().any(|side| cross_line(side, l).is_some())
}
pub(super) fn box_to_point(r: &Rectangle, p: Point) -> Nearest {
    if in_box(p, r) {
        return (p, 0.0);
    }
    let [first, rest @ ..] = sides(r);
    rest.iter()
        .fold(segment_to_point(&first, p), |best, side| nearer(best, segment_to_point(side, p)))
}
/// Where they meet, it is the point of the segment that is nearest to the box's centre.
pub(super) fn box_to_segment(r: &Rectangle, s: &Segment) -> Nearest {
    if box_meets_segment(r, s) {
        return (segment_to_point(s, box_center(r)).0, 0.0);
    }
    let [first, rest @ ..] = sides(r);
    rest.iter().fold(segment_to_segment(&first, s), |best, side| {
        nearer(best, segment_to_segment(side, s))
    })
}

// Lists of points.

/// The sides of a list of points; the one from the last point to the first comes first when it is closed.
pub(super) fn edges(points: &[Point], closed: bool) -> impl Iterator<Item = Segment> + Clone + '_ {
    let back = if closed { points.last().zip(points.first()) } else { None };
    back.map(|(last, first)| [*last, *first])
        .into_iter()
        .chain(points.windows(2).map(|pair| [pair[0], pair[1]]))
}
pub(super) fn bounds(points: &[Point]) -> Rectangle {
    let first = points[0]; // a path and a polygon have one point at least
    points.iter().fold(Rectangle { high: first, low: first }, |all, p| {
        bounding(&all, &Rectangle { high: *p, low: *p })
    })
}
pub(super) fn path_edges(p: &Path) -> impl Iterator<Item = Segment> + Clone + '_ {
    edges(&p.points, p.closed)
}
/// The area of a closed path.
pub(super) fn path_area(p: &Path) -> Option<f64> {
    let n = p.points.len();
    p.closed.then(|| {
        let sum = (0..n).fold(0.0, |sum, i| {
            let (a, b) = (p.points[i], p.points[(i + 1) % n]);
            sum + a.x * b.y - a.y * b.x
        });
        sum.abs() / 2.0
    })
}
pub(super) fn paths_meet(a: &Path, b: &Path) -> bool {
    overlap(&bounds(&a.points), &bounds(&b.points)) && path_edges(a).any(|s| path_edges(b).any(|t| cross_segments(&s, &t).is_some()))
}
fn least(distances: impl Iterator<Item = f64>) -> Option<f64> {
    distances.reduce(|best, d| if d < best { d } else { best })
}
/// `None` when neither has a side.
pub(super) fn path_distance(a: &Path, b: &Path) -> Option<f64> {
    least(path_edges(a).flat_map(|s| path_edges(b).map(move |t| segment_to_segment(&s, &t).1)))
}
pub(super) fn path_to_point(path: &Path, p: Point) -> Option<f64> {
    least(path_edges(path).map(|s| segment_to_point(&s, p).1))
}
pub(super) fn on_path(p: Point, path: &Path) -> bool {
    if path.closed {
        return inside(p, &path.points);
    }
    path.points
        .windows(2)
        .any(|pair| near(distance(p, pair[0]) + distance(p, pair[1]), distance(pair[0], pair[1])))
}

/// How an edge goes around the origin from `from` to `to`; `None` when the origin lies on it.
fn winding(to: Point, from: Point) -> Option<i32> {
    let (x, y, before_x, before_y) = (to.x, to.y, from.x, from.y);
    if zero(y) {
        if zero(x) {
            return None;
        }
        if less(0.0, x) {
            if zero(before_y) {
                return less(0.0, before_x).then_some(0);
            }
            return Some(if less(before_y, 0.0) { 1 } else { -1 });
        }
        if zero(before_y) {
            return less(before_x, 0.0).then_some(0);
        }
        return Some(0);
    }
    let sign = if less(0.0, y) { 1 } else { -1 };
    if zero(before_y) {
        return Some(if less(before_x, 0.0) { 0 } else { sign });
    }
    if (sign < 0 && less(before_y, 0.0)) || (sign > 0 && less(0.0, before_y)) {
        return Some(0);
    }
    if at_most(0.0, x) && less(0.0, before_x) {
        return Some(2 * sign);
    }
    if less(x, 0.0) && at_most(before_x, 0.0) {
        return Some(0);
    }
    let z = (x - before_x) * y - (y - before_y) * x;
    if zero(z) {
        return None;
    }
    Some(if (sign < 0 && less(z, 0.0)) || (sign > 0 && less(0.0, z)) {
        0
    } else {
        2 * sign
    })
}

/// Whether a point is within the closed outline, or on it.
pub(super) fn inside(p: Point, outline: &[Point]) -> bool {
    let moved = |q: Point| Point {
        x: q.x - p.x,
        y: q.y - p.y,
    };
    let mut around = 0;
    for i in 0..outline.len() {
        let next = outline[(i + 1) % outline.len()];
        match winding(moved(next), moved(outline[i])) {
            None => return true,
            Some(turn) => around += turn,
        }
    }
    around != 0
}

// Polygons.

pub(super) fn polygons_overlap(a: &[Point], b: &[Point]) -> bool {
    overlap(&bounds(a), &bounds(b))
        && (edges(a, true).any(|s| edges(b, true).any(|t| cross_segments(&s, &t).is_some())) || inside(a[0], b) || inside(b[0], a))
}
pub(super) fn polygon_distance(a: &[Point], b: &[Point]) -> Option<f64> {
    if polygons_overlap(a, b) {
        return Some(0.0);
    }
    least(edges(a, true).flat_map(|s| edges(b, true).map(move |t| segment_to_segment(&s, &t).1)))
}
pub(super) fn polygon_to_point(polygon: &[Point], p: Point) -> f64 {
    if inside(p, polygon) {
        return 0.0;
    }
    least(edges(polygon, true).map(|s| segment_to_point(&s, p).1)).unwrap_or(f64::NAN)
}
/// Whether the corners are the same, wherever they begin and whichever way they go.
pub(super) fn same_corners(a: &[Point], b: &[Point]) -> bool {
    let n = a.len();
    n == b.len() && (0..n).any(|from| (0..n).all(|i| a[i].same(b[(from + i) % n])) || (0..n).all(|i| a[i].same(b[(from + n - i) % n])))
}
pub(super) fn contains_polygon(outer: &[Point], inner: &[Point]) -> bool {
    contains_box(&bounds(outer), &bounds(inner)) && edges(inner, true).all(|s| segment_within(s[0], s[1], outer, 0))
}
/// Whether the segment from `a` to `b` lies within a polygon; the corners before `start` are known to leave it alone.
fn segment_within(a: Point, b: Point, polygon: &[Point], start: usize) -> bool {
    let t = [a, b];
    let n = polygon.len();
    let mut within = true;
    let mut crossed = false;
    let mut from = polygon[if start == 0 { n - 1 } else { start - 1 }];
    for (i, to) in polygon.iter().enumerate().skip(start) {
        if !within {
            break;
        }
        let s = [from, *to];
        if on_segment(a, &s) {
            if on_segment(b, &s) {
                return true;
            }
            within = touching_within(a, b, &s, polygon, i + 1);
        } else if on_segment(b, &s) {
            within = touching_within(b, a, &s, polygon, i + 1);
        } else if let Some(at) = cross_segments(&t, &s) {
            crossed = true;
            within = segment_within(a, at, polygon, i + 1) && segment_within(b, at, polygon, i + 1);
        }
        from = *to;
    }
    if within && !crossed {
        within = inside(middle(a, b), polygon);
    }
    within
}
/// The same where `a` lies on the side `s` and `b` doesn't: what goes along another side goes on behind it.
fn touching_within(a: Point, b: Point, s: &Segment, polygon: &[Point], start: usize) -> bool {
    let t = [a, b];
    let behind = |end: Point| on_segment(end, &t).then(|| segment_within(b, end, polygon, start));
    let found = if a.same(s[0]) {
        behind(s[1])
    } else if a.same(s[1]) {
        behind(s[0])
    } else {
        behind(s[0]).or_else(|| behind(s[1]))
    };
    found.unwrap_or(true)
}
/// The circle with the mean corner as its centre and the mean distance of corners as its radius.
pub(super) fn polygon_circle(corners: &[Point]) -> Circle {
    let n = corners.len() as f64;
    let sum = corners.iter().fold(Point { x: 0.0, y: 0.0 }, |sum, p| Point {
        x: sum.x + p.x,
        y: sum.y + p.y,
    });
    let center = Point {
        x: sum.x / n,
        y: sum.y / n,
    };
    let radius = corners.iter().map(|p| distance(*p, center)).sum::<f64>() / n;
    Circle { center, radius }
}

// Circles.

pub(super) fn circle_area(c: &Circle) -> f64 {
    c.radius * c.radius * std::f64::consts::PI
}
/// How far one lies within the other: the radius and the distance of its centre together at most the other's radius.
pub(super) fn contains_circle(a: &Circle, b: &Circle) -> bool {
    at_most(distance(a.center, b.center), a.radius - b.radius)
}
pub(super) fn circle_box(c: &Circle) -> Rectangle {
    let delta = c.radius / std::f64::consts::SQRT_2;
    Rectangle {
        high: Point {
            x: c.center.x + delta,
            y: c.center.y + delta,
        },
        low: Point {
            x: c.center.x - delta,
            y: c.center.y - delta,
        },
    }
}
pub(super) fn circle_corners(c: &Circle, count: usize) -> Vec<Point> {
    let step = 2.0 * std::f64::consts::PI / count as f64;
    (0..count)
        .map(|i| {
            let angle = step * i as f64;
            Point {
                x: c.center.x - c.radius * angle.cos(),
                y: c.center.y + c.radius * angle.sin(),
            }
        })
        .collect()
}
