//! What was measured, as a table or as JSON.

use std::io::{self, Write};

use clap::ValueEnum;
use serde::Serialize;

use super::engines::Way;

/// One way of calling one case's function.
#[derive(Serialize)]
pub(crate) struct Row {
    pub(crate) case: &'static str,
    #[serde(serialize_with = "by_name")]
    pub(crate) engine: Way,
    /// Nanoseconds per call, the loop included.
    pub(crate) ns: f64,
    /// How many times the time of a direct call that is.
    pub(crate) ratio: f64,
}

fn by_name<S: serde::Serializer>(way: &Way, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&way.name())
}

/// Rows for one case, all at once, from the times of its ways.
pub(crate) fn rows(case: &'static str, times: &[(Way, f64)]) -> Vec<Row> {
    let direct = times.iter().find(|(way, _)| *way == Way::Direct).map_or(f64::NAN, |(_, ns)| *ns);
    times.iter().map(|&(engine, ns)| Row { case, engine, ns: rounded(ns), ratio: rounded(ns / direct) }).collect()
}

/// Three digits after the point: no measurement knows more.
fn rounded(number: f64) -> f64 {
    (number * 1000.0).round() / 1000.0
}

/// Writes a line for each case, with a column for each way that was measured.
pub(crate) fn table(rows: &[Row], output: &mut impl Write) -> io::Result<()> {
    let ways: Vec<Way> =
        Way::value_variants().iter().copied().filter(|way| rows.iter().any(|row| row.engine == *way)).collect();
    writeln!(output, "Nanoseconds per call, and in brackets how many direct calls that is.\n")?;
    let cell = |line: &[Row], way: &Way| match line.iter().find(|row| row.engine == *way) {
        Some(row) => format!("{:.2} ({:.2})", row.ns, row.ratio),
        None => "-".to_owned(),
    };
    let width = |way: &Way| {
        let cells = rows.chunk_by(|a, b| a.case == b.case).map(|line| cell(line, way).len());
        cells.chain([way.name().len()]).max().unwrap_or_default() + 2
    };
    let titles: String = ways.iter().map(|way| format!("{:>1$}", way.name(), width(way))).collect();
    writeln!(output, "{:<8}{titles}", "")?;
    for line in rows.chunk_by(|a, b| a.case == b.case) {
        let cells: String = ways.iter().map(|way| format!("{:>1$}", cell(line, way), width(way))).collect();
        writeln!(output, "{:<8}{cells}", line[0].case)?;
    }
    Ok(())
}
