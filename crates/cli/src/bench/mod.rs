//! `jitcall bench`: what a call costs, beside a direct call and beside libffi.

mod callbacks;
mod callees;
mod cases;
mod charts;
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
use libffi::Rivals;

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
    /// This project's libffi.so.8 [default: $JITCALL_LIBFFI, or ../libffi/lib beside the program]
    #[arg(long, value_name = "PATH")]
    drop_in: Option<PathBuf>,
    /// Draws charts of what was printed with --json to DIR, and measures nothing
    #[arg(long, value_name = "DIR", requires = "from")]
    charts: Option<PathBuf>,
    /// Where that is
    #[arg(long, value_name = "FILE", requires = "charts")]
    from: Option<PathBuf>,
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
    /// A closure made and freed, beside an allocation
    Closure,
}

impl CaseName {
    fn prepare(self, way: Way, rivals: &Rivals) -> Result<Option<Runner>, Failure> {
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
            CaseName::Closure => callbacks::prepare_closure,
        };
        prepare(way, rivals)
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
            CaseName::Closure => callbacks::CLOSURE,
        }
    }
}

impl Bench {
    pub(crate) fn run(&self) -> Result<(), Failure> {
        if let (Some(folder), Some(file)) = (&self.charts, &self.from) {
            for path in charts::draw(&charts::read(file)?, folder)? {
                println!("{}", path.display());
            }
            return Ok(());
        }
        let (rivals, note) = Rivals::open(self.libffi.as_deref(), self.drop_in.as_deref())?;
        if let Some(words) = &self.instructions {
            return call_only(words, &rivals);
        }
        let mut rows = Vec::new();
        for case in CaseName::value_variants().iter().filter(|case| self.cases.is_empty() || self.cases.contains(case))
        {
            let runners = Way::value_variants().iter().map(|way| case.prepare(*way, &rivals));
            let runners: Vec<Runner> = runners.filter_map(Result::transpose).collect::<Result<_, _>>()?;
            let effort = if self.quick { measure::QUICK } else { measure::FULL };
            rows.extend(report::rows(case.name(), &measure::measure(&runners, effort)));
        }
        let mut output = io::stdout().lock();
        if self.json {
            eprintln!("{note}");
            serde_json::to_writer_pretty(&mut output, &rows)?;
            return Ok(writeln!(output)?);
        }
        report::table(&rows, &mut output)?;
        Ok(writeln!(output, "\n{}\n{note}", callees::note())?)
    }
}

/// Makes calls, and nothing else in their loop.
fn call_only(words: &[String], rivals: &Rivals) -> Result<(), Failure> {
    let [case, way, calls] = words else { return Err("a case, an engine and a number are needed".into()) };
    let (case, way) = (CaseName::from_str(case, false)?, Way::from_str(way, false)?);
    let calls = calls.parse()?;
    match case.prepare(way, rivals)? {
        Some(runner) => runner.run(0, calls),
        None => return Err(format!("there is no {} here", way.name()).into()),
    }
    Ok(())
}
