//! The calendar.

use std::ffi::c_int;

/// 2000.01.01, in days from 0000.03.01.
const EPOCH: c_int = 730_425;
/// The days of 400 years.
const ERA: c_int = 146_097;

/// The days from 2000.01.01 to a date.
#[unsafe(no_mangle)]
extern "C" fn ymd(year: c_int, month: c_int, day: c_int) -> c_int {
    // Years from March on end with the day that leap years have more.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    year * 365 + leap_days + (month * 153 + 2) / 5 + day - 1 - EPOCH
}

/// A date as the decimal number `yyyymmdd`.
#[unsafe(no_mangle)]
extern "C" fn dj(days: c_int) -> c_int {
    let (era, day) = ((days + EPOCH).div_euclid(ERA), (days + EPOCH).rem_euclid(ERA));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (year * 365 + year / 4 - year / 100);
    let month = (day * 5 + 2) / 153;
    let day = day - (month * 153 + 2) / 5 + 1;
    let (year, month) = if month < 10 { (year, month + 3) } else { (year + 1, month - 9) };
    (era * 400 + year) * 10_000 + month * 100 + day
}
