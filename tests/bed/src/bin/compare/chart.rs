//! Memory, CPU and the time until all HPAs exist against the number of objects, as one SVG.

use std::{collections::BTreeMap, path::Path};

use plotters::{
    coord::Shift,
    prelude::{
        BLACK, ChartBuilder, Circle, Color, DrawingArea, IntoDrawingArea, IntoFont, IntoLogRange,
        LineSeries, PathElement, RGBColor, SVGBackend, SeriesLabelPosition, WHITE,
    },
};
use serde_json::Value;

use crate::report::name;

const COLOURS: [RGBColor; 3] = [
    RGBColor(178, 34, 34),
    RGBColor(200, 130, 40),
    RGBColor(31, 90, 160),
];
const PANELS: [(&str, &str); 3] = [
    ("rss_mb", "memory, MB"),
    ("cpu_s_per_min", "CPU, s a minute"),
    ("all_hpas_s", "until all HPAs exist, s"),
];

/// Points of a side, from few objects to many.
type Series = BTreeMap<String, Vec<(f64, f64)>>;

/// Draws the lines of a run to `path`.
pub fn draw(lines: &[&Value], path: &Path) {
    let root = SVGBackend::new(path, (1200, 420)).into_drawing_area();
    root.fill(&WHITE).expect("an SVG");
    let panels = root.split_evenly((1, PANELS.len()));
    for (panel, (key, title)) in panels.iter().zip(PANELS) {
        let mut series = Series::new();
        for line in lines {
            if let (Some(objects), Some(value)) = (line["objects"].as_f64(), line[key].as_f64()) {
                series.entry(name(line)).or_default().push((objects, value));
            }
        }
        panel_of(panel, title, &series);
    }
    root.present().expect("an SVG");
}

fn panel_of(area: &DrawingArea<SVGBackend, Shift>, title: &str, series: &Series) {
    let points = || series.values().flatten();
    let right = points().map(|p| p.0).fold(10.0, f64::max);
    let top = points().map(|p| p.1).fold(1.0, f64::max);
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 18).into_font())
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(48)
        .build_cartesian_2d((8.0..right * 1.3).log_scale(), 0.0..top * 1.15)
        .expect("axes");
    chart
        .configure_mesh()
        .max_light_lines(0)
        .x_desc("objects")
        .x_label_formatter(&|x| format!("{x:.0}"))
        .y_label_formatter(&|y| format!("{y:.0}"))
        .draw()
        .expect("a mesh");
    for ((name, points), colour) in series.iter().zip(COLOURS) {
        let line = LineSeries::new(points.iter().copied(), colour.stroke_width(2));
        chart
            .draw_series(line)
            .expect("a line")
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour.stroke_width(2)));
        let dots = points.iter().map(|p| Circle::new(*p, 3, colour.filled()));
        chart.draw_series(dots).expect("dots");
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .border_style(BLACK)
        .background_style(WHITE.mix(0.9))
        .draw()
        .expect("labels");
}
