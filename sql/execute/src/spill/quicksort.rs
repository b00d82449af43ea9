//! The order in which PostgreSQL leaves rows whose keys are equal.
//!
//! No query may count on it, and yet clients see it: which of two equal rows comes first, or is a window's first value. So a sort that
//! keeps few rows in memory is the one that PostgreSQL runs there (`sort_template.h`, after Bentley and McIlroy's "Engineering a sort
//! function"), which leaves equal rows as PostgreSQL's would be if they came in the same order.

use std::cmp::Ordering;

/// Rows that are sorted this way, at most: the worst case takes the square of their number.
pub(super) const FEW_ROWS: usize = 10_000;
/// Below this, insertion.
const INSERTION: usize = 7;
/// Above this, the median of three medians.
const NINTHER: usize = 40;

/// Sorts `rows`.
pub(super) fn quicksort<T>(mut rows: &mut [T], compare: &impl Fn(&T, &T) -> Ordering) {
    loop {
        let n = rows.len();
        if rows.windows(2).all(|pair| compare(&pair[0], &pair[1]) != Ordering::Greater) {
            return;
        }
        if n < INSERTION {
            for m in 1..n {
                let mut l = m;
                while l > 0 && compare(&rows[l - 1], &rows[l]) == Ordering::Greater {
                    rows.swap(l, l - 1);
                    l -= 1;
                }
            }
            return;
        }
        let middle = pivot(rows, compare);
        rows.swap(0, middle);
        // Equal to the pivot: [0, a) and (d, n); less: [a, b); greater: (c, d].
        let (mut a, mut b, mut c, mut d) = (1, 1, n - 1, n - 1);
        loop {
            while b <= c {
                match compare(&rows[b], &rows[0]) {
                    Ordering::Greater => break,
                    Ordering::Equal => {
                        rows.swap(a, b);
                        a += 1;
                    }
                    Ordering::Less => {}
                }
                b += 1;
            }
            while b <= c {
                match compare(&rows[c], &rows[0]) {
                    Ordering::Less => break,
                    Ordering::Equal => {
                        rows.swap(c, d);
                        d -= 1;
                    }
                    Ordering::Greater => {}
                }
                c -= 1;
            }
            if b > c {
                break;
            }
            rows.swap(b, c);
            b += 1;
            c -= 1;
        }
        let equal = a.min(b - a);
        swap_ranges(rows, 0, b - equal, equal);
        let equal = (d - c).min(n - d - 1);
        swap_ranges(rows, b, n - equal, equal);
        let (less, greater) = (b - a, d - c);
        let (left, right) = rows.split_at_mut(n - greater);
        let left = &mut left[..less];
        // The smaller side first, so that the depth stays logarithmic.
        let (small, large) = if less <= greater { (left, right) } else { (right, left) };
        if small.len() > 1 {
            quicksort(small, compare);
        }
        if large.len() <= 1 {
            return;
        }
        rows = large;
    }
}

fn swap_ranges<T>(rows: &mut [T], i: usize, j: usize, n: usize) {
    for k in 0..n {
        rows.swap(i + k, j + k);
    }
}

fn pivot<T>(rows: &[T], compare: &impl Fn(&T, &T) -> Ordering) -> usize {
    let n = rows.len();
    let mut middle = n / 2;
    if n > INSERTION {
        let (mut low, mut high) = (0, n - 1);
        if n > NINTHER {
            let d = n / 8;
            low = median(rows, [low, low + d, low + 2 * d], compare);
            middle = median(rows, [middle - d, middle, middle + d], compare);
            high = median(rows, [high - 2 * d, high - d, high], compare);
        }
        middle = median(rows, [low, middle, high], compare);
    }
    middle
}

fn median<T>(rows: &[T], [a, b, c]: [usize; 3], compare: &impl Fn(&T, &T) -> Ordering) -> usize {
    let less = |x: usize, y: usize| compare(&rows[x], &rows[y]) == Ordering::Less;
    let greater = |x: usize, y: usize| compare(&rows[x], &rows[y]) == Ordering::Greater;
    match (less(a, b), less(a, c)) {
        (true, _) if less(b, c) => b,
        (true, true) => c,
        (true, false) => a,
        (false, _) if greater(b, c) => b,
        (false, true) => a,
        (false, false) => c,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_rows_come_as_postgresql_leaves_them() {
        // select x, y from (select x, x as y from generate_series(1, 5) x union all values (9, 42), (9, 43)) s order by x desc
        let mut rows = [(1, 1), (2, 2), (3, 3), (4, 4), (5, 5), (9, 42), (9, 43)];
        quicksort(&mut rows, &|a, b| b.0.cmp(&a.0));
        assert_eq!(rows, [(9, 43), (9, 42), (5, 5), (4, 4), (3, 3), (2, 2), (1, 1)]);
    }

    #[test]
    fn any_rows_come_in_order() {
        for n in 0..200u64 {
            for seed in 1..5u64 {
                let mut rows: Vec<u64> = (0..n).map(|i| (i * 7919 + seed * 104_729) * (i + seed) % (n / 3 + 1)).collect();
                let mut wanted = rows.clone();
                wanted.sort_unstable();
                quicksort(&mut rows, &u64::cmp);
                assert_eq!(rows, wanted);
            }
        }
    }
}
