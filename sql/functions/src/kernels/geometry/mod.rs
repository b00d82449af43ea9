//! Functions and operators of the geometric types (`geo_ops.c`): [`straight`] has points, lines and segments, [`figures`] the rest.

mod figures;
mod straight;

use super::floats::{add8, div8, mul8, sub8};
use super::macros::{Argument, kernels, mismatch, pure};
use curia_types::geometry::{Circle, EPSILON, Geometry, Line, Path, Point, Rectangle, Segment, near};
use curia_types::{Datum, Result, SqlError, SqlState};
use figures::*;
use std::sync::Arc;
use straight::*;

type Corners = Vec<Point>;

macro_rules! arguments {
    ($($ty:ty, $kind:ident, $value:ident => $read:expr;)*) => {
        $(impl<'a> Argument<'a> for $ty {
            fn of(d: Option<&'a Datum>) -> Result<Self> {
                match d {
                    Some(Datum::Geometry(g)) => match &**g {
                        Geometry::$kind($value) => Ok($read),
                        _ => Err(mismatch(d, stringify!($kind))),
                    },
                    _ => Err(mismatch(d, stringify!($kind))),
                }
            }
        })*
    };
}
arguments! {
    Point, Point, v => *v;
    &'a Segment, Segment, v => v;
    &'a Line, Line, v => v;
    &'a Rectangle, Box, v => v;
    &'a Path, Path, v => v;
    &'a Corners, Polygon, v => v;
    &'a Circle, Circle, v => v;
}

fn put(g: Geometry) -> Result<Datum> {
    Ok(Datum::Geometry(Arc::new(g)))
}
fn point(p: Point) -> Result<Datum> {
    put(Geometry::Point(p))
}
fn rectangle(r: Rectangle) -> Result<Datum> {
    put(Geometry::Box(r))
}
fn float(v: f64) -> Result<Datum> {
    if v.is_infinite() {
        return Err(SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "value out of range: overflow"));
    }
    Ok(Datum::Float8(v))
}
fn length_of(v: f64) -> Result<Datum> {
    Ok(Datum::Float8(v))
}
fn maybe<T>(v: Option<T>, put: impl Fn(T) -> Result<Datum>) -> Result<Datum> {
    v.map_or(Ok(Datum::Null), put)
}
/// The nearest point; NULL when there is none.
fn nearest((p, far): Nearest) -> Result<Datum> {
    if far.is_nan() { Ok(Datum::Null) } else { point(p) }
}
/// Not the opposite of [`near`]: nothing is apart from NaN.
fn apart(a: f64, b: f64) -> bool {
    (a - b).abs() > EPSILON
}
fn refused(message: &str) -> SqlError {
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

fn plus(p: Point, q: Point) -> Result<Point> {
    Ok(Point {
        x: add8(p.x, q.x)?,
        y: add8(p.y, q.y)?,
    })
}
fn minus(p: Point, q: Point) -> Result<Point> {
    Ok(Point {
        x: sub8(p.x, q.x)?,
        y: sub8(p.y, q.y)?,
    })
}
/// The product of complex numbers: turns and stretches.
fn times(p: Point, q: Point) -> Result<Point> {
    Ok(Point {
        x: sub8(mul8(p.x, q.x)?, mul8(p.y, q.y)?)?,
        y: add8(mul8(p.x, q.y)?, mul8(p.y, q.x)?)?,
    })
}
fn over(p: Point, q: Point) -> Result<Point> {
    let div = add8(mul8(q.x, q.x)?, mul8(q.y, q.y)?)?;
    Ok(Point {
        x: div8(add8(mul8(p.x, q.x)?, mul8(p.y, q.y)?)?, div)?,
        y: div8(sub8(mul8(p.y, q.x)?, mul8(p.x, q.y)?)?, div)?,
    })
}
type Move = fn(Point, Point) -> Result<Point>;
fn shifted(r: &Rectangle, by: Point, f: Move) -> Result<Datum> {
    rectangle(Rectangle {
        high: f(r.high, by)?,
        low: f(r.low, by)?,
    })
}
fn turned(r: &Rectangle, by: Point, f: Move) -> Result<Datum> {
    rectangle(Rectangle::of(f(r.high, by)?, f(r.low, by)?))
}
fn path_moved(path: &Path, by: Point, f: Move) -> Result<Datum> {
    put(Geometry::Path(Path {
        closed: path.closed,
        points: path.points.iter().map(|p| f(*p, by)).collect::<Result<_>>()?,
    }))
}
/// A circle moved, and its radius changed by the length of `by`.
fn circle_moved(c: &Circle, by: Point, f: Move, radius: fn(f64, f64) -> Result<f64>) -> Result<Datum> {
    put(Geometry::Circle(Circle {
        center: f(c.center, by)?,
        radius: radius(c.radius, hypot(by.x, by.y))?,
    }))
}
fn same_radius(r: f64, _: f64) -> Result<f64> {
    Ok(r)
}
fn line_of(p: Point, q: Point) -> Result<Datum> {
    if p.same(q) {
        return Err(refused("invalid line specification: must be two distinct points"));
    }
    put(Geometry::Line(Line::through(p, p.slope(q))))
}
fn with_closed(p: &Path, closed: bool) -> Result<Datum> {
    put(Geometry::Path(Path {
        closed,
        points: p.points.clone(),
    }))
}
fn path_polygon(p: &Path) -> Result<Datum> {
    if !p.closed {
        return Err(refused("open path cannot be converted to polygon"));
    }
    put(Geometry::Polygon(p.points.clone()))
}
fn joined(a: &Path, b: &Path) -> Result<Datum> {
    if a.closed || b.closed {
        return Ok(Datum::Null);
    }
    put(Geometry::Path(Path {
        closed: false,
        points: a.points.iter().chain(&b.points).copied().collect(),
    }))
}
/// Most corners of a polygon made from a circle: what PostgreSQL's largest value holds.
const CORNERS_MAX: i32 = 67_108_861;
fn circle_polygon(count: i32, c: &Circle) -> Result<Datum> {
    if zero(c.radius) {
        return Err(SqlError::new(
            SqlState::FEATURE_NOT_SUPPORTED,
            "cannot convert circle with radius zero to polygon",
        ));
    }
    if count < 2 {
        return Err(refused("must request at least 2 points"));
    }
    if count > CORNERS_MAX {
        return Err(SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "too many points requested"));
    }
    put(Geometry::Polygon(circle_corners(c, count as usize)))
}
fn same_circle(a: &Circle, b: &Circle) -> bool {
    ((a.radius.is_nan() && b.radius.is_nan()) || near(a.radius, b.radius)) && a.center.same(b.center)
}
fn at_least_zero(v: f64) -> f64 {
    if v < 0.0 { 0.0 } else { v }
}
fn between_circles(a: &Circle, b: &Circle) -> f64 {
    at_least_zero(distance(a.center, b.center) - (a.radius + b.radius))
}
fn to_circle(c: &Circle, p: Point) -> f64 {
    at_least_zero(distance(p, c.center) - c.radius)
}
fn within_circle(p: Point, c: &Circle) -> bool {
    distance(p, c.center) <= c.radius
}
fn polygon_to_circle(p: &[Point], c: &Circle) -> f64 {
    at_least_zero(polygon_to_point(p, c.center) - c.radius)
}
fn parallel_segments(a: &Segment, b: &Segment) -> bool {
    near(slope(a), slope(b))
}
fn nearest_of_segments(a: &Segment, b: &Segment) -> Result<Datum> {
    if slope(a) == slope(b) {
        return Ok(Datum::Null);
    }
    nearest(segment_to_segment(b, a))
}
fn nearest_on_segment(l: &Line, s: &Segment) -> Result<Datum> {
    if line_slope(l) == slope(s) {
        return Ok(Datum::Null);
    }
    nearest(segment_to_line(s, l))
}

kernels! {
    "construct_point" = pure!(|x: f64, y: f64| ? point(Point { x, y }));
    "point_left" = pure!(|p: Point, q: Point| -> Bool less(p.x, q.x));
    "point_right" = pure!(|p: Point, q: Point| -> Bool less(q.x, p.x));
    "point_above" = pure!(|p: Point, q: Point| -> Bool less(q.y, p.y));
    "point_below" = pure!(|p: Point, q: Point| -> Bool less(p.y, q.y));
    "point_vert" = pure!(|p: Point, q: Point| -> Bool near(p.x, q.x));
    "point_horiz" = pure!(|p: Point, q: Point| -> Bool near(p.y, q.y));
    "point_eq" = pure!(|p: Point, q: Point| -> Bool p.same(q));
    "point_ne" = pure!(|p: Point, q: Point| -> Bool !p.same(q));
    "point_distance" = pure!(|p: Point, q: Point| ? length_of(distance(p, q)));
    "point_slope" = pure!(|p: Point, q: Point| ? length_of(p.slope(q)));
    "point_add" => pure!(|p: Point, q: Point| ? point(plus(p, q)?));
    "point_sub" => pure!(|p: Point, q: Point| ? point(minus(p, q)?));
    "point_mul" => pure!(|p: Point, q: Point| ? point(times(p, q)?));
    "point_div" => pure!(|p: Point, q: Point| ? point(over(p, q)?));
    "point_box" = pure!(|p: Point| ? rectangle(Rectangle { high: p, low: p }));

    "lseg_construct" = pure!(|p: Point, q: Point| ? put(Geometry::Segment([p, q])));
    "lseg_length" = pure!(|s: &Segment| ? length_of(length(s)));
    "lseg_center" = pure!(|s: &Segment| ? point(middle(s[0], s[1])));
    "lseg_parallel" = pure!(|s: &Segment, t: &Segment| -> Bool parallel_segments(s, t));
    "lseg_perp" = pure!(|s: &Segment, t: &Segment| -> Bool perpendicular_segments(s, t));
    "lseg_vertical" = pure!(|s: &Segment| -> Bool near(s[0].x, s[1].x));
    "lseg_horizontal" = pure!(|s: &Segment| -> Bool near(s[0].y, s[1].y));
    "lseg_eq" = pure!(|s: &Segment, t: &Segment| -> Bool s[0].same(t[0]) && s[1].same(t[1]));
    "lseg_ne" = pure!(|s: &Segment, t: &Segment| -> Bool !s[0].same(t[0]) || !s[1].same(t[1]));
    "lseg_lt" = pure!(|s: &Segment, t: &Segment| -> Bool less(length(s), length(t)));
    "lseg_le" = pure!(|s: &Segment, t: &Segment| -> Bool at_most(length(s), length(t)));
    "lseg_gt" = pure!(|s: &Segment, t: &Segment| -> Bool less(length(t), length(s)));
    "lseg_ge" = pure!(|s: &Segment, t: &Segment| -> Bool at_most(length(t), length(s)));
    "lseg_intersect" = pure!(|s: &Segment, t: &Segment| -> Bool cross_segments(s, t).is_some());
    "lseg_interpt" = pure!(|s: &Segment, t: &Segment| ? maybe(cross_segments(s, t), point));
    "lseg_distance" = pure!(|s: &Segment, t: &Segment| ? length_of(segment_to_segment(s, t).1));

    "line_construct_pp" => pure!(|p: Point, q: Point| ? line_of(p, q));
    "line_eq" = pure!(|l: &Line, m: &Line| -> Bool same_line(l, m));
    "line_parallel" = pure!(|l: &Line, m: &Line| -> Bool cross_lines(l, m).is_none());
    "line_intersect" = pure!(|l: &Line, m: &Line| -> Bool cross_lines(l, m).is_some());
    "line_perp" = pure!(|l: &Line, m: &Line| -> Bool perpendicular_lines(l, m));
    "line_vertical" = pure!(|l: &Line| -> Bool zero(l.b));
    "line_horizontal" = pure!(|l: &Line| -> Bool zero(l.a));
    "line_interpt" = pure!(|l: &Line, m: &Line| ? maybe(cross_lines(l, m), point));
    "line_distance" = pure!(|l: &Line, m: &Line| ? length_of(line_distance(l, m)));

    "points_box" = pure!(|p: Point, q: Point| ? rectangle(Rectangle::of(p, q)));
    "box_same" = pure!(|a: &Rectangle, b: &Rectangle| -> Bool a.high.same(b.high) && a.low.same(b.low));
    "box_overlap" = pure!(|a: &Rectangle, b: &Rectangle| -> Bool overlap(a, b));
    "box_left" = pure!(|a: &Rectangle, b: &Rectangle| -> Bool less(a.high.x, b.low.x));
    "box_overleft" = pure!(|a: &Rectangle, b: &Rectangle| -> Bool at_most(a.high.x, b.high.x));
    "box_right" = pure!(|a: &Rectangle, b: &Rectangle| -> Bool less(b.high.x, a.low.x));
    "box_overright" = pure!(|a: &Rectangle, b: &Rectangle| -> Bool at_most(b.low.x, a.low.x));
    "box_below" = pure!(|a: &Rectangle, b: &Rectangle| -> Bool less(a.high.y, b.low.y));
    "box_overbelow" = pure!(|a: &Rectangle, b: &Rectangle| -> Bool at_most(a.high.y, b.high.y));
    "box_above" = pure!(|a: &Rectangle, b: &Rectangle| -> Bool less(b.high.y, a.low.y));
    "box_overabove" = pure!(|a: &Rectangle, b: &Rectangle| -> Bool at_most(b.low.y, a.low.y));
    "box_below_eq" = pure!(|a: &Rectangle, b: &Rectangle| -> Bool at_most(a.high.y, b.low.y));
    "box_above_eq" = pure!(|a: &Rectangle, b: &Rectangle| -> Bool at_most(b.high.y, a.low.y));
    "box_contain" = pure!(|a: &Rectangle, b: &Rectangle| -> Bool contains_box(a, b));
    "box_contained" = pure!(|a: &Rectangle, b: &Rectangle| -> Bool contains_box(b, a));
    "box_contain_pt" = pure!(|a: &Rectangle, p: Point| -> Bool in_box(p, a));
    "box_lt" = pure!(|a: &Rectangle, b: &Rectangle| -> Bool less(box_area(a), box_area(b)));
    "box_le" = pure!(|a: &Rectangle, b: &Rectangle| -> Bool at_most(box_area(a), box_area(b)));
    "box_gt" = pure!(|a: &Rectangle, b: &Rectangle| -> Bool less(box_area(b), box_area(a)));
    "box_ge" = pure!(|a: &Rectangle, b: &Rectangle| -> Bool at_most(box_area(b), box_area(a)));
    "box_eq" = pure!(|a: &Rectangle, b: &Rectangle| -> Bool near(box_area(a), box_area(b)));
    "box_area" => pure!(|a: &Rectangle| ? float(box_area(a)));
    "box_width" => pure!(|a: &Rectangle| ? float(a.high.x - a.low.x));
    "box_height" => pure!(|a: &Rectangle| ? float(a.high.y - a.low.y));
    "box_center" = pure!(|a: &Rectangle| ? point(box_center(a)));
    "box_distance" = pure!(|a: &Rectangle, b: &Rectangle| ? length_of(distance(box_center(a), box_center(b))));
    "box_diagonal" = pure!(|a: &Rectangle| ? put(Geometry::Segment([a.high, a.low])));
    "box_intersect" = pure!(|a: &Rectangle, b: &Rectangle| ? maybe(common(a, b), rectangle));
    "boxes_bound_box" = pure!(|a: &Rectangle, b: &Rectangle| ? rectangle(bounding(a, b)));
    "box_add" => pure!(|a: &Rectangle, p: Point| ? shifted(a, p, plus));
    "box_sub" => pure!(|a: &Rectangle, p: Point| ? shifted(a, p, minus));
    "box_mul" => pure!(|a: &Rectangle, p: Point| ? turned(a, p, times));
    "box_div" => pure!(|a: &Rectangle, p: Point| ? turned(a, p, over));
    "box_circle" = pure!(|a: &Rectangle| ? put(Geometry::Circle(Circle { center: box_center(a), radius: distance(box_center(a), a.high) })));
    "box_poly" = pure!(|a: &Rectangle| ? put(Geometry::Polygon(corners(a).to_vec())));

    "path_npoints" = pure!(|a: &Path| -> Int4 a.points.len() as i32);
    "path_isclosed" = pure!(|a: &Path| -> Bool a.closed);
    "path_isopen" = pure!(|a: &Path| -> Bool !a.closed);
    "path_close" = pure!(|a: &Path| ? with_closed(a, true));
    "path_open" = pure!(|a: &Path| ? with_closed(a, false));
    "path_length" = pure!(|a: &Path| ? length_of(path_edges(a).map(|s| length(&s)).sum()));
    "path_area" = pure!(|a: &Path| ? maybe(path_area(a), length_of));
    "path_inter" = pure!(|a: &Path, b: &Path| -> Bool paths_meet(a, b));
    "path_distance" = pure!(|a: &Path, b: &Path| ? maybe(path_distance(a, b), length_of));
    "path_n_lt" = pure!(|a: &Path, b: &Path| -> Bool a.points.len() < b.points.len());
    "path_n_le" = pure!(|a: &Path, b: &Path| -> Bool a.points.len() <= b.points.len());
    "path_n_gt" = pure!(|a: &Path, b: &Path| -> Bool a.points.len() > b.points.len());
    "path_n_ge" = pure!(|a: &Path, b: &Path| -> Bool a.points.len() >= b.points.len());
    "path_n_eq" = pure!(|a: &Path, b: &Path| -> Bool a.points.len() == b.points.len());
    "path_add" = pure!(|a: &Path, b: &Path| ? joined(a, b));
    "path_add_pt" => pure!(|a: &Path, p: Point| ? path_moved(a, p, plus));
    "path_sub_pt" => pure!(|a: &Path, p: Point| ? path_moved(a, p, minus));
    "path_mul_pt" => pure!(|a: &Path, p: Point| ? path_moved(a, p, times));
    "path_div_pt" => pure!(|a: &Path, p: Point| ? path_moved(a, p, over));
    "path_poly" => pure!(|a: &Path| ? path_polygon(a));
    "path_contain_pt(path,point)" = pure!(|a: &Path, p: Point| -> Bool on_path(p, a));

    "poly_npoints" = pure!(|a: &Corners| -> Int4 a.len() as i32);
    "poly_center" = pure!(|a: &Corners| ? point(polygon_circle(a).center));
    "poly_circle" = pure!(|a: &Corners| ? put(Geometry::Circle(polygon_circle(a))));
    "poly_box" = pure!(|a: &Corners| ? rectangle(bounds(a)));
    "poly_path" = pure!(|a: &Corners| ? put(Geometry::Path(Path { closed: true, points: a.clone() })));
    "poly_left" = pure!(|a: &Corners, b: &Corners| -> Bool bounds(a).high.x < bounds(b).low.x);
    "poly_overleft" = pure!(|a: &Corners, b: &Corners| -> Bool bounds(a).high.x <= bounds(b).high.x);
    "poly_right" = pure!(|a: &Corners, b: &Corners| -> Bool bounds(a).low.x > bounds(b).high.x);
    "poly_overright" = pure!(|a: &Corners, b: &Corners| -> Bool bounds(a).low.x >= bounds(b).low.x);
    "poly_below" = pure!(|a: &Corners, b: &Corners| -> Bool bounds(a).high.y < bounds(b).low.y);
    "poly_overbelow" = pure!(|a: &Corners, b: &Corners| -> Bool bounds(a).high.y <= bounds(b).high.y);
    "poly_above" = pure!(|a: &Corners, b: &Corners| -> Bool bounds(a).low.y > bounds(b).high.y);
    "poly_overabove" = pure!(|a: &Corners, b: &Corners| -> Bool bounds(a).low.y >= bounds(b).low.y);
    "poly_same" = pure!(|a: &Corners, b: &Corners| -> Bool same_corners(a, b));
    "poly_overlap" = pure!(|a: &Corners, b: &Corners| -> Bool polygons_overlap(a, b));
    "poly_contain" = pure!(|a: &Corners, b: &Corners| -> Bool contains_polygon(a, b));
    "poly_contained" = pure!(|a: &Corners, b: &Corners| -> Bool contains_polygon(b, a));
    "poly_contain_pt" = pure!(|a: &Corners, p: Point| -> Bool inside(p, a));
    "pt_contained_poly" = pure!(|p: Point, a: &Corners| -> Bool inside(p, a));
    "poly_distance" = pure!(|a: &Corners, b: &Corners| ? maybe(polygon_distance(a, b), length_of));

    "cr_circle" = pure!(|p: Point, radius: f64| ? put(Geometry::Circle(Circle { center: p, radius })));
    "circle_center" = pure!(|c: &Circle| ? point(c.center));
    "circle_radius" = pure!(|c: &Circle| -> Float8 c.radius);
    "circle_diameter" => pure!(|c: &Circle| ? float(c.radius * 2.0));
    "circle_area" => pure!(|c: &Circle| ? float(circle_area(c)));
    "circle_box" = pure!(|c: &Circle| ? rectangle(circle_box(c)));
    "circle_poly" => pure!(|n: i32, c: &Circle| ? circle_polygon(n, c));
    "polygon(circle)" => pure!(|c: &Circle| ? circle_polygon(12, c));
    "circle_same" = pure!(|a: &Circle, b: &Circle| -> Bool same_circle(a, b));
    "circle_overlap" = pure!(|a: &Circle, b: &Circle| -> Bool at_most(distance(a.center, b.center), a.radius + b.radius));
    "circle_overleft" = pure!(|a: &Circle, b: &Circle| -> Bool at_most(a.center.x + a.radius, b.center.x + b.radius));
    "circle_left" = pure!(|a: &Circle, b: &Circle| -> Bool less(a.center.x + a.radius, b.center.x - b.radius));
    "circle_right" = pure!(|a: &Circle, b: &Circle| -> Bool less(b.center.x + b.radius, a.center.x - a.radius));
    "circle_overright" = pure!(|a: &Circle, b: &Circle| -> Bool at_most(b.center.x - b.radius, a.center.x - a.radius));
    "circle_below" = pure!(|a: &Circle, b: &Circle| -> Bool less(a.center.y + a.radius, b.center.y - b.radius));
    "circle_above" = pure!(|a: &Circle, b: &Circle| -> Bool less(b.center.y + b.radius, a.center.y - a.radius));
    "circle_overbelow" = pure!(|a: &Circle, b: &Circle| -> Bool at_most(a.center.y + a.radius, b.center.y + b.radius));
    "circle_overabove" = pure!(|a: &Circle, b: &Circle| -> Bool at_most(b.center.y - b.radius, a.center.y - a.radius));
    "circle_contain" = pure!(|a: &Circle, b: &Circle| -> Bool contains_circle(a, b));
    "circle_contained" = pure!(|a: &Circle, b: &Circle| -> Bool contains_circle(b, a));
    "circle_contain_pt" = pure!(|c: &Circle, p: Point| -> Bool within_circle(p, c));
    "pt_contained_circle" = pure!(|p: Point, c: &Circle| -> Bool within_circle(p, c));
    "circle_eq" = pure!(|a: &Circle, b: &Circle| -> Bool near(circle_area(a), circle_area(b)));
    "circle_ne" = pure!(|a: &Circle, b: &Circle| -> Bool apart(circle_area(a), circle_area(b)));
    "circle_lt" = pure!(|a: &Circle, b: &Circle| -> Bool less(circle_area(a), circle_area(b)));
    "circle_le" = pure!(|a: &Circle, b: &Circle| -> Bool at_most(circle_area(a), circle_area(b)));
    "circle_gt" = pure!(|a: &Circle, b: &Circle| -> Bool less(circle_area(b), circle_area(a)));
    "circle_ge" = pure!(|a: &Circle, b: &Circle| -> Bool at_most(circle_area(b), circle_area(a)));
    "circle_add_pt" => pure!(|c: &Circle, p: Point| ? circle_moved(c, p, plus, same_radius));
    "circle_sub_pt" => pure!(|c: &Circle, p: Point| ? circle_moved(c, p, minus, same_radius));
    "circle_mul_pt" => pure!(|c: &Circle, p: Point| ? circle_moved(c, p, times, mul8));
    "circle_div_pt" => pure!(|c: &Circle, p: Point| ? circle_moved(c, p, over, div8));
    "circle_distance" = pure!(|a: &Circle, b: &Circle| ? length_of(between_circles(a, b)));

    "on_ps" = pure!(|p: Point, s: &Segment| -> Bool on_segment(p, s));
    "on_pl" = pure!(|p: Point, l: &Line| -> Bool on_line(p, l));
    "on_pb" = pure!(|p: Point, r: &Rectangle| -> Bool in_box(p, r));
    "on_ppath" = pure!(|p: Point, path: &Path| -> Bool on_path(p, path));
    "on_sl" = pure!(|s: &Segment, l: &Line| -> Bool on_line(s[0], l) && on_line(s[1], l));
    "on_sb" = pure!(|s: &Segment, r: &Rectangle| -> Bool in_box(s[0], r) && in_box(s[1], r));
    "inter_sl" = pure!(|s: &Segment, l: &Line| -> Bool cross_line(s, l).is_some());
    "inter_sb" = pure!(|s: &Segment, r: &Rectangle| -> Bool box_meets_segment(r, s));
    "inter_lb" = pure!(|l: &Line, r: &Rectangle| -> Bool box_meets_line(r, l));

    "close_ps" = pure!(|p: Point, s: &Segment| ? nearest(segment_to_point(s, p)));
    "close_pl" = pure!(|p: Point, l: &Line| ? nearest(line_to_point(l, p)));
    "close_pb" = pure!(|p: Point, r: &Rectangle| ? nearest(box_to_point(r, p)));
    "close_lseg" = pure!(|s: &Segment, t: &Segment| ? nearest_of_segments(s, t));
    "close_ls" = pure!(|l: &Line, s: &Segment| ? nearest_on_segment(l, s));
    "close_sb" = pure!(|s: &Segment, r: &Rectangle| ? nearest(box_to_segment(r, s)));

    "dist_ps" = pure!(|p: Point, s: &Segment| ? length_of(segment_to_point(s, p).1));
    "dist_sp" = pure!(|s: &Segment, p: Point| ? length_of(segment_to_point(s, p).1));
    "dist_pl" = pure!(|p: Point, l: &Line| ? length_of(line_to_point(l, p).1));
    "dist_lp" = pure!(|l: &Line, p: Point| ? length_of(line_to_point(l, p).1));
    "dist_pb" = pure!(|p: Point, r: &Rectangle| ? length_of(box_to_point(r, p).1));
    "dist_bp" = pure!(|r: &Rectangle, p: Point| ? length_of(box_to_point(r, p).1));
    "dist_sl" = pure!(|s: &Segment, l: &Line| ? length_of(segment_to_line(s, l).1));
    "dist_ls" = pure!(|l: &Line, s: &Segment| ? length_of(segment_to_line(s, l).1));
    "dist_sb" = pure!(|s: &Segment, r: &Rectangle| ? length_of(box_to_segment(r, s).1));
    "dist_bs" = pure!(|r: &Rectangle, s: &Segment| ? length_of(box_to_segment(r, s).1));
    "dist_ppath" = pure!(|p: Point, path: &Path| ? maybe(path_to_point(path, p), length_of));
    "dist_pathp" = pure!(|path: &Path, p: Point| ? maybe(path_to_point(path, p), length_of));
    "dist_ppoly" = pure!(|p: Point, a: &Corners| ? length_of(polygon_to_point(a, p)));
    "dist_polyp" = pure!(|a: &Corners, p: Point| ? length_of(polygon_to_point(a, p)));
    "dist_pc" = pure!(|p: Point, c: &Circle| ? length_of(to_circle(c, p)));
    "dist_cpoint" = pure!(|c: &Circle, p: Point| ? length_of(to_circle(c, p)));
    "dist_cpoly" = pure!(|c: &Circle, a: &Corners| ? length_of(polygon_to_circle(a, c)));
    "dist_polyc" = pure!(|a: &Corners, c: &Circle| ? length_of(polygon_to_circle(a, c)));
}
