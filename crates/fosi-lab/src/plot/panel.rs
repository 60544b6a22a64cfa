//! One panel of a figure.

use plotters::chart::ChartContext;
use plotters::coord::Shift;
use plotters::coord::cartesian::Cartesian2d;
use plotters::prelude::{
    ChartBuilder, Color, DrawingArea, DrawingBackend, IntoFont, PathElement, Polygon, RGBColor,
};

use super::stroke::strokes;
use super::{Axis, FONT, INK, Line, PlotError};

const GRID: RGBColor = RGBColor(225, 225, 225);

/// A panel of a figure, with axes and lines.
#[derive(Clone, Debug)]
pub struct Panel {
    /// The title above the panel.
    pub title: String,
    /// The label below the horizontal axis.
    pub x_label: String,
    /// The label next to the vertical axis.
    pub y_label: String,
    /// The horizontal axis.
    pub x: Axis,
    /// The vertical axis.
    pub y: Axis,
    /// The lines, in drawing order.
    pub lines: Vec<Line>,
}

impl Panel {
    /// Draws the panel, filling `area`.
    ///
    /// # Errors
    /// An error of the backend.
    pub fn draw<B: DrawingBackend>(
        &self,
        area: &DrawingArea<B, Shift>,
        scale: u32,
    ) -> Result<(), PlotError> {
        let px = |length: u32| length * scale;
        let font = |size: u32| (FONT, px(size)).into_font().color(&INK);
        let mut builder = ChartBuilder::on(area);
        builder
            .margin(px(10))
            .margin_right(px(18))
            .x_label_area_size(px(42))
            .y_label_area_size(px(62));
        if !self.title.is_empty() {
            builder.caption(&self.title, font(17));
        }
        let mut chart = builder
            .build_cartesian_2d(self.x.clone(), self.y.clone())
            .map_err(PlotError::draw)?;
        chart
            .configure_mesh()
            .x_labels(8)
            .y_labels(8)
            .max_light_lines(0)
            .bold_line_style(GRID.stroke_width(scale))
            .axis_style(INK.stroke_width(scale))
            .label_style(font(13))
            .axis_desc_style(font(14))
            .x_desc(&self.x_label)
            .y_desc(&self.y_label)
            .set_all_tick_mark_size(px(4))
            .x_label_formatter(&|value| self.x.label(*value))
            .y_label_formatter(&|value| self.y.label(*value))
            .draw()
            .map_err(PlotError::draw)?;
        self.draw_bands(&mut chart)?;
        self.draw_lines(&mut chart, scale)
    }

    fn draw_bands<B: DrawingBackend>(&self, chart: &mut Chart<'_, B>) -> Result<(), PlotError> {
        for line in &self.lines {
            let upper = line.band.iter().map(|&(x, _, high)| (x, high));
            let lower = line.band.iter().rev().map(|&(x, low, _)| (x, low));
            let outline: Vec<(f64, f64)> = upper.chain(lower).collect();
            if outline.len() > 3 {
                let band = Polygon::new(outline, line.style.color.mix(0.15).filled());
                chart
                    .draw_series(std::iter::once(band))
                    .map_err(PlotError::draw)?;
            }
        }
        Ok(())
    }

    fn draw_lines<B: DrawingBackend>(
        &self,
        chart: &mut Chart<'_, B>,
        scale: u32,
    ) -> Result<(), PlotError> {
        let plotting = chart.plotting_area();
        let area = plotting.strip_coord_spec();
        let origin = area.get_base_pixel();
        for line in &self.lines {
            let stroke = line.style.color.stroke_width(2 * scale);
            for points in self.y.clip(&line.points) {
                let pixel = |point: &(f64, f64)| {
                    let (x, y) = plotting.map_coordinate(point);
                    (x - origin.0, y - origin.1)
                };
                let pixels: Vec<(i32, i32)> = points.iter().map(pixel).collect();
                let pattern = line
                    .style
                    .dashed
                    .then(|| [7.0, 5.0].map(|l| l * f64::from(scale)));
                for path in strokes(&pixels, pattern) {
                    area.draw(&PathElement::new(path, stroke))
                        .map_err(PlotError::draw)?;
                }
            }
        }
        Ok(())
    }
}

type Chart<'a, B> = ChartContext<'a, B, Cartesian2d<Axis, Axis>>;
