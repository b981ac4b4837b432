//! `setTimeout`, `setInterval` and what takes them back.

use std::time::Duration;

use crate::engine::{Arguments, Context, Export, Outcome};
use crate::host::Host;

/// The longest wait, of some 25 days; what is longer is none, as in browsers.
const LONGEST: f64 = i32::MAX as f64;

/// The functions, as globals and as items of `os`.
pub(crate) const FUNCTIONS: &[Export] = &[
    Export::function(c"setTimeout", 2, set_timeout),
    Export::function(c"setInterval", 2, set_interval),
    Export::function(c"clearTimeout", 1, clear),
    Export::function(c"clearInterval", 1, clear),
];

fn set_timeout<'js>(context: Context<'js>, arguments: Arguments<'_, 'js>) -> Outcome<'js> {
    add(context, arguments, false)
}

fn set_interval<'js>(context: Context<'js>, arguments: Arguments<'_, 'js>) -> Outcome<'js> {
    add(context, arguments, true)
}

fn add<'js>(context: Context<'js>, arguments: Arguments<'_, 'js>, repeats: bool) -> Outcome<'js> {
    let function = arguments.get(0);
    if !function.is_function() {
        return Err(context.throw_type_error("not a function"));
    }
    let delay = milliseconds(arguments.get(1).to_f64()?);
    let id = Host::of(context).events().add_timer(function, arguments.from(2), delay, repeats);
    Ok(context.integer(id))
}

/// At least a millisecond, so that a timer that repeats leaves time to the others.
fn milliseconds(delay: f64) -> Duration {
    let delay = if (1.0..=LONGEST).contains(&delay) { delay } else { 1.0 };
    Duration::from_secs_f64(delay / 1000.0)
}

fn clear<'js>(context: Context<'js>, arguments: Arguments<'_, 'js>) -> Outcome<'js> {
    let id = arguments.get(0);
    // What is no timer is none that runs.
    if !id.is_undefined() && !id.is_null() {
        Host::of(context).events().remove_timer(id.to_i64()?);
    }
    Ok(context.undefined())
}
