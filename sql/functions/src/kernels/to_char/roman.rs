//! Roman numerals: of numbers up to 3999 and of months.

/// Months from December to January, as PostgreSQL numbers them here.
pub(super) const MONTHS: [&str; 12] = ["XII", "XI", "X", "IX", "VIII", "VII", "VI", "V", "IV", "III", "II", "I"];

/// A number in Roman digits; 15 `#` for what has none.
pub(super) fn of_number(n: i32) -> String {
    if !(1..=3999).contains(&n) {
        return "#".repeat(15);
    }
    const VALUES: [(i32, &str); 13] = [
        (1000, "M"),
        (900, "CM"),
        (500, "D"),
        (400, "CD"),
        (100, "C"),
        (90, "XC"),
        (50, "L"),
        (40, "XL"),
        (10, "X"),
        (9, "IX"),
        (5, "V"),
        (4, "IV"),
        (1, "I"),
    ];
    let mut left = n;
    let mut out = String::new();
    for (value, digits) in VALUES {
        while left >= value {
            out.push_str(digits);
            left -= value;
        }
    }
    out
}
