//! Dates and times as q writes them.

/// The year, month and day of a day from 2000.01.01.
fn civil(days: i64) -> (i64, i64, i64) {
    let mut year = 2000 + days.div_euclid(366);
    while first_day(year + 1) <= days {
        year += 1;
    }
    let mut rest = days - first_day(year);
    let february = if first_day(year + 1) - first_day(year) == 366 { 29 } else { 28 };
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if rest < length {
            break;
        }
        rest -= length;
        month += 1;
    }
    (year, month, rest + 1)
}

/// The first day of a year, from 2000.01.01.
fn first_day(year: i64) -> i64 {
    let before = year - 1;
    let leap_days = |year: i64| year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    (year - 2000) * 365 + leap_days(before) - leap_days(1999)
}

/// `2000.01.01`, of days.
pub(super) fn date(days: i64) -> String {
    let (year, month, day) = civil(days);
    format!("{year:04}.{month:02}.{day:02}")
}

/// `2000.01m`, of months.
pub(super) fn month(months: i64) -> String {
    format!("{:04}.{:02}m", 2000 + months.div_euclid(12), months.rem_euclid(12) + 1)
}

/// `00:00` and more of it: the hours and so on of a number of units, so many of which are a second.
pub(super) fn clock(units: i64, per_second: i64) -> String {
    let sign = if units < 0 { "-" } else { "" };
    let (seconds, fraction) = (units.unsigned_abs() / per_second as u64, units.unsigned_abs() % per_second as u64);
    let digits = per_second.ilog10() as usize;
    let fraction = if digits == 0 { String::new() } else { format!(".{fraction:0digits$}") };
    format!("{sign}{:02}:{:02}:{:02}{fraction}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// `00:00`, of minutes.
pub(super) fn minute(minutes: i64) -> String {
    let text = clock(minutes * 60, 1);
    text[..text.len() - 3].to_owned()
}

const DAY: i64 = 86_400_000_000_000;

/// `2000.01.01D00:00:00.000000000`, of nanoseconds.
pub(super) fn timestamp(nanoseconds: i64) -> String {
    let time = clock(nanoseconds.rem_euclid(DAY), 1_000_000_000);
    format!("{}D{time}", date(nanoseconds.div_euclid(DAY)))
}

/// `0D00:00:00.000000000`, of nanoseconds.
pub(super) fn timespan(nanoseconds: i64) -> String {
    let sign = if nanoseconds < 0 { "-" } else { "" };
    let (days, rest) = (nanoseconds.unsigned_abs() / DAY as u64, nanoseconds.unsigned_abs() % DAY as u64);
    format!("{sign}{days}D{}", clock(rest as i64, 1_000_000_000))
}

/// `2000.01.01T00:00:00.000`, of days.
pub(super) fn datetime(days: f64) -> String {
    let milliseconds = (days * 86_400_000.0).round() as i64;
    let time = clock(milliseconds.rem_euclid(86_400_000), 1000);
    format!("{}T{time}", date(milliseconds.div_euclid(86_400_000)))
}
