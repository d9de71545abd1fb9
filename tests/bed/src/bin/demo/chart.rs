//! Lag, replicas and busy consumers over time, as one SVG.

use std::{error::Error, path::Path};

use plotters::prelude::{
    BLACK, ChartBuilder, Color, IntoDrawingArea, IntoFont, LineSeries, PathElement, RGBColor,
    SVGBackend, SeriesLabelPosition, WHITE,
};

use crate::story::Row;

const LAG: RGBColor = RGBColor(178, 34, 34);
const REPLICAS: RGBColor = RGBColor(31, 90, 160);
const BUSY: RGBColor = RGBColor(60, 140, 60);

/// Draws `rows` to `path`: lag on the left axis, consumers on the right one.
pub fn draw(rows: &[Row], path: &Path) -> Result<(), Box<dyn Error>> {
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir)?;
    }
    let end = rows.last().map_or(1.0, |r| r.second.max(1.0));
    #[allow(clippy::cast_precision_loss, reason = "small counts")]
    let highest = rows.iter().map(|r| r.lag).max().unwrap_or(0).max(10) as f64 * 1.1;
    let root = SVGBackend::new(path, (960, 480)).into_drawing_area();
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&root)
        .caption(
            "5 partitions, 100 records: lag and consumers",
            ("sans-serif", 20).into_font(),
        )
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(48)
        .right_y_label_area_size(48)
        .build_cartesian_2d(0.0..end, 0.0..highest)?
        .set_secondary_coord(0.0..end, 0.0..6.6);
    chart
        .configure_mesh()
        .max_light_lines(0)
        .x_label_formatter(&|x| format!("{x:.0}"))
        .y_label_formatter(&|y| format!("{y:.0}"))
        .x_desc("seconds since the records were asked for")
        .y_desc("lag, records")
        .draw()?;
    chart
        .configure_secondary_axes()
        .y_label_formatter(&|y| format!("{y:.0}"))
        .y_desc("consumers")
        .draw()?;
    #[allow(clippy::cast_precision_loss, reason = "small counts")]
    let lag = rows.iter().map(|r| (r.second, r.lag.max(0) as f64));
    chart
        .draw_series(LineSeries::new(lag, LAG.stroke_width(2)))?
        .label("lag")
        .legend(|(x, y)| PathElement::new([(x, y), (x + 20, y)], LAG.stroke_width(2)));
    let replicas: Vec<_> = rows
        .iter()
        .map(|r| (r.second, f64::from(r.replicas)))
        .collect();
    chart
        .draw_secondary_series(LineSeries::new(stairs(&replicas), REPLICAS.stroke_width(2)))?
        .label("replicas")
        .legend(|(x, y)| PathElement::new([(x, y), (x + 20, y)], REPLICAS.stroke_width(2)));
    #[allow(clippy::cast_precision_loss, reason = "small counts")]
    let busy: Vec<_> = rows.iter().map(|r| (r.second, r.busy as f64)).collect();
    chart
        .draw_secondary_series(LineSeries::new(stairs(&busy), BUSY.stroke_width(2)))?
        .label("busy consumers")
        .legend(|(x, y)| PathElement::new([(x, y), (x + 20, y)], BUSY.stroke_width(2)));
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .border_style(BLACK)
        .background_style(WHITE.mix(0.9))
        .draw()?;
    root.present()?;
    Ok(())
}

/// A count stays until it changes.
fn stairs(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let mut stairs = Vec::new();
    for pair in points.windows(2) {
        stairs.push(pair[0]);
        stairs.push((pair[1].0, pair[0].1));
    }
    stairs.extend(points.last());
    stairs
}
