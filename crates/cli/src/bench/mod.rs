//! `jitcall bench`: what a call costs, beside a direct call and beside libffi.

mod callbacks;
mod callees;
mod cases;
mod engines;
mod libffi;
mod measure;
mod report;

use std::io::{self, Write as _};
use std::path::PathBuf;

use clap::ValueEnum;

use crate::Failure;
use cases::{Add2, Case, Fma3, Mix8, Mix16, Noop, StructBig24, StructIntFloat, StructPoint};
use engines::{Runner, Way};
use libffi::Libffi;

/// Measures what calls cost
#[derive(clap::Args)]
pub(crate) struct Bench {
    /// Measures this case alone; may be given more than once
    #[arg(long = "case", value_name = "NAME")]
    cases: Vec<CaseName>,
    /// Takes a tenth of the time, and less care
    #[arg(long)]
    quick: bool,
    /// Prints a list of {"case", "engine", "ns", "ratio"}
    #[arg(long)]
    json: bool,
    /// The libffi to measure against, in place of the system's
    #[arg(long, value_name = "PATH")]
    libffi: Option<PathBuf>,
    /// Makes N calls and measures nothing: for a tool that counts instructions
    #[arg(long, value_names = ["CASE", "ENGINE", "N"], num_args = 3, conflicts_with_all = ["cases", "quick", "json"])]
    instructions: Option<Vec<String>>,
}

/// Which function is called
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum CaseName {
    /// Nothing but the call
    Noop,
    /// Two integers
    Add2,
    /// Three doubles
    Fma3,
    /// Integers, pointers and floating values of the usual sizes
    Mix8,
    /// Nine integers and nine doubles in turn; the last go to the stack
    Mix16,
    /// A struct of two doubles, in and out
    Point,
    /// A struct of 24 bytes, in and out
    Big24,
    /// A struct of an int and a float, in and out
    Intfloat,
    /// A loop in C that calls back with two integers
    Callback,
    /// `qsort` of 1,000 integers; nanoseconds per sort
    Qsort,
}

impl CaseName {
    fn prepare(self, way: Way, libffi: Option<&Libffi>) -> Result<Option<Runner>, Failure> {
        let prepare = match self {
            CaseName::Noop => engines::prepare::<Noop>,
            CaseName::Add2 => engines::prepare::<Add2>,
            CaseName::Fma3 => engines::prepare::<Fma3>,
            CaseName::Mix8 => engines::prepare::<Mix8>,
            CaseName::Mix16 => engines::prepare::<Mix16>,
            CaseName::Point => engines::prepare::<StructPoint>,
            CaseName::Big24 => engines::prepare::<StructBig24>,
            CaseName::Intfloat => engines::prepare::<StructIntFloat>,
            CaseName::Callback => callbacks::prepare_loop,
            CaseName::Qsort => callbacks::prepare_sort,
        };
        prepare(way, libffi)
    }

    fn name(self) -> &'static str {
        match self {
            CaseName::Noop => Noop::NAME,
            CaseName::Add2 => Add2::NAME,
            CaseName::Fma3 => Fma3::NAME,
            CaseName::Mix8 => Mix8::NAME,
            CaseName::Mix16 => Mix16::NAME,
            CaseName::Point => StructPoint::NAME,
            CaseName::Big24 => StructBig24::NAME,
            CaseName::Intfloat => StructIntFloat::NAME,
            CaseName::Callback => callbacks::LOOP,
            CaseName::Qsort => callbacks::SORT,
        }
    }
}

impl Bench {
    pub(crate) fn run(&self) -> Result<(), Failure> {
        let (libffi, note) = self.open_libffi()?;
        if let Some(words) = &self.instructions {
            return call_only(words, libffi.as_ref());
        }
        let mut rows = Vec::new();
        for case in CaseName::value_variants().iter().filter(|case| self.cases.is_empty() || self.cases.contains(case))
        {
            let runners = Way::value_variants().iter().map(|way| case.prepare(*way, libffi.as_ref()));
            let runners: Vec<Runner> = runners.filter_map(Result::transpose).collect::<Result<_, _>>()?;
            let effort = if self.quick { measure::QUICK } else { measure::FULL };
            rows.extend(report::rows(case.name(), &measure::measure(&runners, effort)));
        }
        let mut output = io::stdout().lock();
        if self.json {
            serde_json::to_writer_pretty(&mut output, &rows)?;
            return Ok(writeln!(output)?);
        }
        report::table(&rows, &mut output)?;
        Ok(writeln!(output, "\n{}\n{note}", callees::note())?)
    }

    /// The library, and what is to be said of it. That the system has none is no failure.
    fn open_libffi(&self) -> Result<(Option<Libffi>, String), Failure> {
        match Libffi::open(self.libffi.as_deref()) {
            Ok(libffi) => {
                let plans = if libffi.has_plans() { "" } else { ", which has no call plans" };
                let note = format!("libffi: {}{plans}", libffi.path().display());
                Ok((Some(libffi), note))
            }
            Err(failure) if self.libffi.is_some() => Err(failure),
            Err(failure) => Ok((None, format!("libffi: left out: {failure}"))),
        }
    }
}

/// Makes calls, and nothing else in their loop.
fn call_only(words: &[String], libffi: Option<&Libffi>) -> Result<(), Failure> {
    let [case, way, calls] = words else { return Err("a case, an engine and a number are needed".into()) };
    let (case, way) = (CaseName::from_str(case, false)?, Way::from_str(way, false)?);
    let calls = calls.parse()?;
    match case.prepare(way, libffi)? {
        Some(runner) => runner.run(0, calls),
        None => return Err(format!("there is no {} here", way.name()).into()),
    }
    Ok(())
}
