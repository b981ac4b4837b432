//! Charts of what was measured: time per call, and how many times that is what libffi takes.

use std::fs;
use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;
use serde::Deserialize;

use crate::Failure;

/// A row of the JSON that `jitcall bench --json` prints.
#[derive(Deserialize)]
pub(crate) struct Row {
    case: String,
    engine: String,
    ns: f64,
}

/// What the bars of a chart are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Measure {
    /// Nanoseconds.
    Time,
    /// libffi's time, divided by the engine's.
    Gain,
}

/// One chart: which cases, and which engines in which colours.
struct Chart {
    file: &'static str,
    title: &'static str,
    measure: Measure,
    cases: &'static [&'static str],
    engines: &'static [(&'static str, RGBColor)],
}

// Okabe and Ito's colours, which colour-blind people tell apart.
const GREY: RGBColor = RGBColor(120, 120, 120);
const BLUE: RGBColor = RGBColor(0, 114, 178);
const SKY: RGBColor = RGBColor(86, 180, 233);
const GREEN: RGBColor = RGBColor(0, 158, 115);
const ORANGE: RGBColor = RGBColor(230, 159, 0);
const VERMILION: RGBColor = RGBColor(213, 94, 0);

/// The cases that are calls.
const CALLS: &[&str] = &["noop", "add2", "fma3", "point", "intfloat", "big24", "mix8", "mix16"];

const CHARTS: [Chart; 3] = [
    Chart {
        file: "calls.svg",
        title: "Nanoseconds per call",
        measure: Measure::Time,
        cases: CALLS,
        engines: &[
            ("direct", GREY),
            ("stub", BLUE),
            ("drop-in", SKY),
            ("values", GREEN),
            ("libffi-plan", ORANGE),
            ("libffi", VERMILION),
        ],
    },
    Chart {
        file: "gains.svg",
        title: "libffi's time per call, divided by each engine's",
        measure: Measure::Gain,
        cases: CALLS,
        engines: &[("stub", BLUE), ("drop-in", SKY), ("values", GREEN), ("libffi-plan", ORANGE)],
    },
    Chart {
        file: "callbacks.svg",
        title: "Nanoseconds per callback, and per closure made and freed",
        measure: Measure::Time,
        cases: &["callback", "closure"],
        engines: &[
            ("direct", GREY),
            ("closure-typed", BLUE),
            ("closure-raw", GREEN),
            ("drop-in", SKY),
            ("closure-values", ORANGE),
            ("libffi", VERMILION),
        ],
    },
];

/// Reads rows that were printed before.
pub(crate) fn read(file: &Path) -> Result<Vec<Row>, Failure> {
    let text = fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    Ok(serde_json::from_str(&text).map_err(|error| format!("{}: no measurements: {error}", file.display()))?)
}

/// Draws all charts of which something was measured to a folder, and says which files were written.
pub(crate) fn draw(rows: &[Row], folder: &Path) -> Result<Vec<std::path::PathBuf>, Failure> {
    fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut written = Vec::new();
    for chart in &CHARTS {
        let bars = chart.bars(rows);
        if bars.is_empty() {
            continue;
        }
        let path = folder.join(chart.file);
        let area = SVGBackend::new(&path, (900, 420)).into_drawing_area();
        // What is not drawn would be transparent, and unreadable on a dark page.
        area.fill(&WHITE).map_err(|error| error.to_string())?;
        chart.draw(&bars, &area).map_err(|error| format!("{}: {error}", path.display()))?;
        area.present().map_err(|error| format!("{}: {error}", path.display()))?;
        drop(area);
        written.push(path);
    }
    if written.is_empty() {
        return Err("nothing was measured that a chart shows".into());
    }
    Ok(written)
}

/// A bar: case, engine and height.
type Bar = (&'static str, &'static str, f64);

impl Chart {
    /// The bars that there are.
    fn bars(&self, rows: &[Row]) -> Vec<Bar> {
        let time = |case: &str, engine: &str| rows.iter().find(|row| row.case == case && row.engine == engine);
        let height = |case: &str, engine: &str| {
            let ns = time(case, engine)?.ns;
            match self.measure {
                Measure::Time => Some(ns),
                Measure::Gain => Some(time(case, "libffi")?.ns / ns),
            }
        };
        let pairs = self.cases.iter().flat_map(|case| self.engines.iter().map(move |(engine, _)| (*case, *engine)));
        pairs.filter_map(|(case, engine)| Some((case, engine, height(case, engine)?))).collect()
    }

    fn draw(&self, bars: &[Bar], area: &DrawingArea<SVGBackend<'_>, Shift>) -> Result<(), Failure> {
        let height =
            |case: &str, engine: &str| bars.iter().find(|bar| (bar.0, bar.1) == (case, engine)).map(|bar| bar.2);
        let cases: Vec<&str> =
            self.cases.iter().filter(|case| bars.iter().any(|bar| bar.0 == **case)).copied().collect();
        let engines: Vec<_> = self.engines.iter().filter(|engine| bars.iter().any(|bar| bar.1 == engine.0)).collect();
        let most = bars.iter().map(|bar| bar.2).fold(1.0, f64::max) * 1.6;
        let least = bars.iter().map(|bar| bar.2).fold(1.0, f64::min) * 0.8;
        let wrong = |error: &dyn std::fmt::Display| Failure::from(error.to_string());
        let mut chart = ChartBuilder::on(area)
            .caption(self.title, ("sans-serif", 20))
            .margin(12)
            .x_label_area_size(30)
            .y_label_area_size(60)
            .build_cartesian_2d(0f64..cases.len() as f64, (least..most).log_scale())
            .map_err(|error| wrong(&error))?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .x_labels(0)
            .y_desc(if self.measure == Measure::Time { "nanoseconds, logarithmic" } else { "times, logarithmic" })
            .max_light_lines(1)
            .y_label_formatter(&|height| format!("{height}"))
            .draw()
            .map_err(|error| wrong(&error))?;
        let width = 0.8 / engines.len() as f64;
        for (place, (engine, colour)) in engines.iter().enumerate() {
            let bars = cases.iter().enumerate().filter_map(|(group, case)| {
                let height = height(case, engine)?;
                let left = group as f64 + 0.1 + place as f64 * width;
                Some(Rectangle::new([(left, least), (left + width * 0.9, height)], colour.filled()))
            });
            let colour = *colour;
            chart
                .draw_series(bars)
                .map_err(|error| wrong(&error))?
                .label(*engine)
                .legend(move |(x, y)| Rectangle::new([(x, y - 5), (x + 12, y + 5)], colour.filled()));
        }
        let names = cases.iter().enumerate().map(|(group, case)| {
            let style = ("sans-serif", 14).into_font();
            EmptyElement::at((group as f64 + 0.5, least)) + Text::new(case.to_string(), (-20, 6), style)
        });
        chart.draw_series(names).map_err(|error| wrong(&error))?;
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperLeft)
            .background_style(WHITE.filled())
            .border_style(GREY)
            .label_font(("sans-serif", 13))
            .draw()
            .map_err(|error| wrong(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn charts_show_each_case_and_engine_that_was_measured() {
        let folder = std::env::temp_dir().join(format!("jitcall-charts-{}", std::process::id()));
        let json = r#"[{"case": "add2", "engine": "direct", "ns": 1.5, "ratio": 1.0},
            {"case": "add2", "engine": "drop-in", "ns": 3.3, "ratio": 2.2},
            {"case": "add2", "engine": "libffi", "ns": 18.0, "ratio": 12.0},
            {"case": "callback", "engine": "libffi", "ns": 14.0, "ratio": 8.0}]"#;
        let rows: Vec<Row> = serde_json::from_str(json).expect("rows");
        let files = draw(&rows, &folder).expect("charts");
        let text: Vec<String> = files.iter().map(|file| fs::read_to_string(file).expect("a chart")).collect();
        let expected: [&[&str]; 3] =
            [&["add2", "direct", "drop-in", "Nanoseconds"], &["add2", "drop-in", "divided"], &["callback", "libffi"]];
        for (chart, words) in expected.iter().enumerate() {
            for word in *words {
                assert!(text[chart].contains(word), "{word} in {}", files[chart].display());
            }
        }
        assert!(!text[0].contains("values"), "it was not measured");
        assert_eq!(draw(&rows[3..], &folder).expect("one chart").len(), 1, "a chart of what was measured alone");
        assert!(draw(&[], &folder).is_err());
        fs::remove_dir_all(folder).expect("a folder that can be removed");
    }

    #[test]
    fn what_is_no_measurement_is_an_error() {
        let file = std::env::temp_dir().join(format!("jitcall-charts-{}.json", std::process::id()));
        fs::write(&file, "{}").expect("a file");
        let failure = read(&file).err().expect("an error").to_string();
        assert!(failure.contains("no measurements"), "{failure}");
        fs::remove_file(file).expect("a file that can be removed");
    }
}
