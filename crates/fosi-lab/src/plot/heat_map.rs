//! Heat maps and their colour scales.

use plotters::coord::Shift;
use plotters::prelude::{
    ChartBuilder, Color, ColorMap, DrawingArea, DrawingBackend, IntoFont, RGBColor, Rectangle,
    ViridisRGB,
};
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::axis::tick_label;
use super::{Axis, FONT, INK, PlotError};

/// Colours for values on a logarithmic or a linear scale, light for small ones; values beyond the ends get the ends'
/// colours.
///
/// The colours are viridis: their lightness decreases monotonically, so that the order remains visible in
/// black-and-white print and with every common kind of colour blindness.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ColorScale {
    low: f64,
    high: f64,
    logarithmic: bool,
}

impl ColorScale {
    /// A scale for positive values, lightest up to `low` and darkest from `high`, both powers of ten.
    pub fn logarithmic(low: f64, high: f64) -> Self {
        Self {
            low,
            high,
            logarithmic: true,
        }
    }

    /// A linear scale, lightest up to `low` and darkest from `high`.
    pub fn linear(low: f64, high: f64) -> Self {
        Self {
            low,
            high,
            logarithmic: false,
        }
    }

    /// The colour of a value; NaN is grey.
    pub fn color(&self, value: f64) -> RGBColor {
        let share = match self.logarithmic {
            true => (value / self.low).ln() / (self.high / self.low).ln(),
            false => (value - self.low) / (self.high - self.low),
        };
        if share.is_nan() {
            return RGBColor(160, 160, 160);
        }
        ViridisRGB.get_color(1.0 - share.clamp(0.0, 1.0))
    }

    /// The value whose colour is at the fraction `share` between the lightest and the darkest.
    fn value(&self, share: f64) -> f64 {
        match self.logarithmic {
            true => self.low * (self.high / self.low).powf(share),
            false => self.low + share * (self.high - self.low),
        }
    }

    /// The labelled values of the bar. On a logarithmic scale, values beyond the ends have the ends' colours.
    fn labels(&self) -> Vec<(f64, String)> {
        if !self.logarithmic {
            let ticks = Axis::linear(self.low, self.high).ticks(6);
            return ticks
                .into_iter()
                .map(|tick| (tick, tick_label(tick)))
                .collect();
        }
        let first = self.low.log10().round() as i32;
        let last = self.high.log10().round() as i32;
        let label = |power| match power {
            power if power == first => format!("≤ {}", power_of_ten(power)),
            power if power == last => format!("≥ {}", power_of_ten(power)),
            power => power_of_ten(power),
        };
        (first..=last)
            .map(|power| (10f64.powi(power), label(power)))
            .collect()
    }

    /// Draws the scale as a vertical bar with the values next to it and `label` above.
    ///
    /// # Errors
    /// An error of the backend.
    pub fn draw<B: DrawingBackend>(
        &self,
        area: &DrawingArea<B, Shift>,
        label: &str,
        scale: u32,
    ) -> Result<(), PlotError> {
        let px = |length: u32| length * scale;
        let (width, height) = area.dim_in_pixel();
        let font = (FONT, px(14)).into_font().color(&INK);
        let centred = font.pos(Pos::new(HPos::Center, VPos::Center));
        let middle = (width as i32 / 2, px(20) as i32);
        area.draw_text(label, &centred, middle)
            .map_err(PlotError::draw)?;
        let bar = area.margin(px(40), height / 6, px(6), px(56));
        let axis = match self.logarithmic {
            true => Axis::logarithmic(self.low, self.high),
            false => Axis::linear(self.low, self.high),
        };
        let mut chart = ChartBuilder::on(&bar)
            .set_label_area_size(plotters::prelude::LabelAreaPosition::Right, px(8))
            .build_cartesian_2d(Axis::linear(0.0, 1.0), axis)
            .map_err(PlotError::draw)?;
        const STEPS: i32 = 128;
        let value = |i: i32| self.value(f64::from(i) / f64::from(STEPS));
        let steps = (0..STEPS).map(|i| {
            let color = self.color(self.value((f64::from(i) + 0.5) / f64::from(STEPS)));
            Rectangle::new([(0.0, value(i)), (1.0, value(i + 1))], color.filled())
        });
        chart.draw_series(steps).map_err(PlotError::draw)?;
        for (value, text) in self.labels() {
            let (x, y) = chart.backend_coord(&(1.0, value));
            let left = (FONT, px(13)).into_font().color(&INK);
            let left = left.pos(Pos::new(HPos::Left, VPos::Center));
            let origin = area.get_base_pixel();
            let at = (x - origin.0 + px(6) as i32, y - origin.1 + px(1) as i32);
            area.draw_text(&text, &left, at).map_err(PlotError::draw)?;
        }
        Ok(())
    }
}

/// 10 with a superscript exponent.
fn power_of_ten(power: i32) -> String {
    let raised = |c: char| match c {
        '-' => '⁻',
        '0' => '⁰',
        '1' => '¹',
        '2' => '²',
        '3' => '³',
        digit => char::from_u32('⁴' as u32 + (digit as u32 - '4' as u32)).unwrap_or(digit),
    };
    let exponent: String = power.to_string().chars().map(raised).collect();
    format!("10{exponent}")
}

/// Values on a two-dimensional grid; each cell extends halfway to its neighbours.
#[derive(Clone, Debug)]
pub struct HeatMap {
    /// The title above the map.
    pub title: String,
    /// The label below the horizontal axis.
    pub x_label: String,
    /// The label next to the vertical axis.
    pub y_label: String,
    /// The grid's horizontal coordinates, in ascending order.
    pub xs: Vec<f64>,
    /// The grid's vertical coordinates, in ascending order.
    pub ys: Vec<f64>,
    /// The values; that of the cell at `(xs[i], ys[j])` has the index `i * ys.len() + j`.
    pub values: Vec<f64>,
    /// The colours.
    pub scale: ColorScale,
}

impl HeatMap {
    /// Draws the map, filling `area`.
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
        let (x_edges, y_edges) = (edges(&self.xs), edges(&self.ys));
        let ends = |edges: &[f64]| match edges {
            [first, .., last] => Axis::linear(*first, *last),
            _ => Axis::linear(0.0, 1.0),
        };
        let mut chart = ChartBuilder::on(area)
            .margin(px(10))
            .x_label_area_size(px(42))
            .y_label_area_size(px(52))
            .caption(&self.title, font(17))
            .build_cartesian_2d(ends(&x_edges), ends(&y_edges))
            .map_err(PlotError::draw)?;
        let cells = self.values.iter().enumerate().map(|(at, value)| {
            let (i, j) = (at / self.ys.len(), at % self.ys.len());
            let corners = [(x_edges[i], y_edges[j]), (x_edges[i + 1], y_edges[j + 1])];
            Rectangle::new(corners, self.scale.color(*value).filled())
        });
        chart.draw_series(cells).map_err(PlotError::draw)?;
        chart
            .configure_mesh()
            .disable_mesh()
            .x_labels(8)
            .y_labels(6)
            .axis_style(INK.stroke_width(scale))
            .label_style(font(13))
            .axis_desc_style(font(14))
            .x_desc(&self.x_label)
            .y_desc(&self.y_label)
            .set_all_tick_mark_size(px(4))
            .x_label_formatter(&|value| tick_label(*value))
            .y_label_formatter(&|value| tick_label(*value))
            .draw()
            .map_err(PlotError::draw)
    }
}

/// The boundaries of cells around `centres`: halfway between them, and at the same distance outside at the ends.
fn edges(centres: &[f64]) -> Vec<f64> {
    let [first, .., last] = centres else {
        return centres.iter().flat_map(|c| [c - 0.5, c + 0.5]).collect();
    };
    let mut edges: Vec<f64> = centres
        .windows(2)
        .map(|pair| 0.5 * (pair[0] + pair[1]))
        .collect();
    let (low, high) = (edges[0], edges[edges.len() - 1]);
    edges.insert(0, 2.0 * first - low);
    edges.push(2.0 * last - high);
    edges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_meet_half_way() {
        assert_eq!(edges(&[1.0, 2.0, 4.0]), [0.5, 1.5, 3.0, 5.0]);
        assert_eq!(edges(&[2.0]), [1.5, 2.5]);
    }

    #[test]
    fn small_values_are_light_and_the_ends_hold_beyond() {
        let scale = ColorScale::logarithmic(1e-2, 1e2);
        assert_eq!(scale.color(1e-9), RGBColor(254, 232, 37));
        // Halfway between the two middle colours.
        assert_eq!(scale.color(1.0), RGBColor(35, 145, 140));
        assert_eq!(scale.color(f64::INFINITY), RGBColor(68, 1, 84));
        assert_eq!(scale.color(f64::NAN), RGBColor(160, 160, 160));
    }

    #[test]
    fn linear_colours_are_those_of_the_same_shares() {
        let (linear, logarithmic) = (
            ColorScale::linear(-1.0, 3.0),
            ColorScale::logarithmic(1e-2, 1e2),
        );
        assert_eq!(linear.color(-7.0), logarithmic.color(1e-2));
        assert_eq!(linear.color(1.0), logarithmic.color(1.0));
        assert_eq!(linear.color(2.0), logarithmic.color(10.0));
        let labels: Vec<f64> = linear.labels().iter().map(|(value, _)| *value).collect();
        assert_eq!(labels, [-1.0, 0.0, 1.0, 2.0, 3.0]);
    }

    #[test]
    fn exponents_are_raised() {
        assert_eq!(power_of_ten(-14), "10⁻¹⁴");
        assert_eq!(power_of_ten(20), "10²⁰");
    }
}
