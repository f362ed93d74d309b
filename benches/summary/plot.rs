//! Lines over a size, as SVG.

use std::{collections::BTreeMap, path::Path};

use plotters::prelude::*;

const SIZE: (u32, u32) = (800, 500);
/// From here on sizes are drawn on logarithmic axes.
const WIDE: f64 = 300.0;
const COLORS: [RGBColor; 6] = [
    RGBColor(0x1b, 0x6c, 0xa8),
    RGBColor(0xc8, 0x55, 0x3d),
    RGBColor(0x3d, 0x8b, 0x4f),
    RGBColor(0x8a, 0x5f, 0xa8),
    RGBColor(0xb0, 0x8a, 0x1e),
    RGBColor(0x55, 0x5b, 0x66),
];

/// Draws one line for each case: microseconds over the size it was measured at.
pub(crate) fn draw(file: &Path, title: &str, lines: &BTreeMap<&str, Vec<(f64, f64)>>) {
    let points = || lines.values().flatten();
    let ends = |values: Vec<f64>| {
        let most = values.iter().copied().fold(f64::MIN, f64::max);
        (values.into_iter().fold(f64::MAX, f64::min), most)
    };
    let (x, y) =
        (ends(points().map(|it| it.0).collect()), ends(points().map(|it| it.1 / 1e3).collect()));
    let root = SVGBackend::new(file, SIZE).into_drawing_area();
    root.fill(&WHITE).unwrap();
    let mut builder = ChartBuilder::on(&root);
    builder
        .caption(title, ("sans-serif", 20))
        .margin(16)
        .x_label_area_size(40)
        .y_label_area_size(70);
    macro_rules! lines {
        ($chart:expr) => {{
            let mut chart = $chart.unwrap();
            chart
                .configure_mesh()
                .x_desc("size")
                .y_desc("µs")
                .light_line_style(WHITE)
                .draw()
                .unwrap();
            for ((name, points), color) in lines.iter().zip(COLORS.iter().cycle()) {
                let points: Vec<_> = points.iter().map(|(x, y)| (*x, y / 1e3)).collect();
                chart
                    .draw_series(points.iter().map(|at| Circle::new(*at, 3, color.filled())))
                    .unwrap();
                chart
                    .draw_series(LineSeries::new(points, color.stroke_width(2)))
                    .unwrap()
                    .label(*name)
                    .legend(move |(x, y)| {
                        PathElement::new([(x, y), (x + 16, y)], color.stroke_width(2))
                    });
            }
            let labels = chart
                .configure_series_labels()
                .position(SeriesLabelPosition::UpperLeft)
                .border_style(BLACK)
                .background_style(WHITE)
                .draw();
            labels.unwrap();
        }};
    }
    if x.1 / x.0 >= WIDE {
        lines!(
            builder.build_cartesian_2d((x.0..x.1).log_scale(), (y.0 * 0.7..y.1 * 1.4).log_scale())
        );
    } else {
        lines!(builder.build_cartesian_2d(0.0..x.1 * 1.02, 0.0..y.1 * 1.1));
    }
    root.present().unwrap();
}
