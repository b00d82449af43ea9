//! Julian day numbers and ISO weeks as PostgreSQL computes them (`datetime.c`, `timestamp.c`): defined for any integers.

/// Julian day of 2000-01-01.
pub(super) const EPOCH: i64 = 2_451_545;

/// Julian day of a Gregorian date; year 0 is 1 BC. Wraps where it overflows.
pub(super) fn julian(year: i32, month: i32, day: i32) -> i32 {
    let (year, month) = if month > 2 {
        (year.wrapping_add(4800), month.wrapping_add(1))
    } else {
        (year.wrapping_add(4799), month.wrapping_add(13))
    };
    let century = year / 100;
    (year.wrapping_mul(365).wrapping_sub(32_167))
        .wrapping_add(year / 4 - century + century / 4)
        .wrapping_add(month.wrapping_mul(7834) / 256)
        .wrapping_add(day)
}

/// (year, month, day) of a Julian day.
pub(super) fn date_of(julian: i32) -> (i32, i32, i32) {
    const CYCLE: u32 = 146_097; // days in 400 years
    const FOUR_YEARS: u32 = 1461;
    let j = (julian as u32).wrapping_add(32_044);
    let cycles = j / CYCLE;
    let extra = (j - cycles * CYCLE) * 4 + 3;
    let j = j.wrapping_add(60 + cycles * 3 + extra / CYCLE);
    let quads = j / FOUR_YEARS;
    let j = j - quads * FOUR_YEARS;
    let y = j * 4 / FOUR_YEARS;
    let j = if y != 0 { (j + 305) % 365 } else { (j + 306) % 366 } + 123;
    let month = j * 2141 / 65_536;
    let year = (y + quads * 4) as i32 - 4800;
    (year, ((month + 10) % 12 + 1) as i32, (j - 7834 * month / 256) as i32)
}

/// Day of the week of a Julian day, Sunday = 0.
pub(super) fn weekday(julian: i32) -> i32 {
    julian.wrapping_add(1).rem_euclid(7)
}

/// Julian day of the Monday of ISO week 1 of a year.
fn first_monday(year: i32) -> i32 {
    let fourth = julian(year, 1, 4);
    fourth.wrapping_sub(weekday(fourth.wrapping_sub(1)))
}

/// Julian day of the Monday of an ISO week.
pub(super) fn iso_week_start(year: i32, week: i32) -> i32 {
    week.wrapping_sub(1).wrapping_mul(7).wrapping_add(first_monday(year))
}

/// (ISO year, ISO week) of a date.
pub(super) fn iso_week(year: i32, month: i32, day: i32) -> (i32, i32) {
    let today = julian(year, month, day);
    let mut iso_year = year;
    let mut start = first_monday(year);
    if today < start {
        iso_year = year.wrapping_sub(1);
        start = first_monday(iso_year);
    }
    let week = today.wrapping_sub(start) / 7 + 1;
    if week >= 53 {
        let next = first_monday(year.wrapping_add(1));
        if today >= next {
            return (iso_year.wrapping_add(1), today.wrapping_sub(next) / 7 + 1);
        }
    }
    (iso_year, week)
}

/// Day of the ISO year, from 1.
pub(super) fn iso_year_day(year: i32, month: i32, day: i32) -> i32 {
    julian(year, month, day)
        .wrapping_sub(first_monday(iso_week(year, month, day).0))
        .wrapping_add(1)
}

/// Whether PostgreSQL's day arithmetic holds for a date (`IS_VALID_JULIAN`).
pub(super) fn in_range(year: i32, month: i32) -> bool {
    (year > -4713 || (year == -4713 && month >= 11)) && (year < 5_874_898 || (year == 5_874_898 && month < 6))
}
