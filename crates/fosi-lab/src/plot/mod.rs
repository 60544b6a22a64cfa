//! Figures: axes, colours, lines and legends, drawn by `plotters` identically as SVG and as PNG.

mod axis;
mod heat_map;
mod legend;
mod output;
mod panel;
mod sheet;
mod stroke;

use plotters::coord::Shift;
use plotters::prelude::{DrawingArea, DrawingBackend, RGBColor};
use thiserror::Error;

pub use axis::Axis;
pub(crate) use axis::tick_label;
pub use heat_map::{ColorScale, HeatMap};
pub use legend::draw_legend;
pub use output::{to_png, to_svg};
pub use panel::Panel;
pub use sheet::{Cell, Sheet};

use crate::optimizers::{Family, OptimizerName};

/// The font family of figures: in SVG the viewer's, in PNG the embedded Roboto.
pub const FONT: &str = "sans-serif";

/// The colour of text and axes.
pub const INK: RGBColor = RGBColor(40, 40, 40);

/// A figure cannot be drawn.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PlotError {
    /// The embedded font cannot be read.
    #[error("the embedded font is damaged; build the program again")]
    Font,
    /// The drawing library failed.
    #[error("cannot draw the figure: {0}")]
    Draw(String),
    /// The PNG encoder failed.
    #[error("cannot encode the figure: {0}")]
    Encode(#[from] png::EncodingError),
}

impl PlotError {
    /// Wraps an error of the drawing library, whose type depends on the backend.
    pub fn draw(error: impl std::fmt::Display) -> Self {
        Self::Draw(error.to_string())
    }
}

/// A figure of fixed size that can be drawn on any backend. Lengths are in nominal pixels, each of which has `scale`
/// physical pixels.
pub trait Figure {
    /// The nominal width and height.
    fn size(&self) -> (u32, u32);

    /// Draws on `area`, which is `scale` times the nominal size.
    ///
    /// # Errors
    /// An error of the backend.
    fn draw<B: DrawingBackend>(
        &self,
        area: &DrawingArea<B, Shift>,
        scale: u32,
    ) -> Result<(), PlotError>;
}

/// Colours that colour-blind readers can distinguish (Okabe and Ito), for lines without a colour of their own.
pub const COLORS: [RGBColor; 6] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
];

/// The colour of a base optimizer's family, from the palettes of Okabe and Ito and of Tol, which colour-blind readers
/// can distinguish.
pub fn color(base: Family) -> RGBColor {
    match base {
        Family::GradientDescent => RGBColor(0, 0, 0),
        Family::HeavyBall => RGBColor(0, 114, 178),
        Family::Nesterov => RGBColor(0, 158, 115),
        Family::Adam => RGBColor(213, 94, 0),
        Family::AdamW => RGBColor(204, 121, 167),
        Family::Lion => RGBColor(230, 159, 0),
        Family::AdaGrad => RGBColor(86, 180, 233),
        Family::RmsProp => RGBColor(136, 34, 85),
        Family::Adan => RGBColor(17, 119, 51),
        Family::Lamb => RGBColor(68, 170, 153),
        Family::Adafactor => RGBColor(153, 153, 51),
        Family::Muon => RGBColor(51, 34, 136),
        Family::Kfac => RGBColor(204, 102, 119),
        Family::Lbfgs => RGBColor(102, 102, 102),
        Family::Soap => RGBColor(221, 204, 119),
        Family::AdaHessian => RGBColor(136, 204, 238),
    }
}

/// The style of an optimizer's line: the family's colour, dashed for the base and solid for FOSI.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LineStyle {
    /// The colour.
    pub color: RGBColor,
    /// Whether the line is dashed.
    pub dashed: bool,
}

impl LineStyle {
    /// A solid line in the text colour.
    pub const PLAIN: Self = Self {
        color: INK,
        dashed: false,
    };

    /// The style of an optimizer.
    pub fn of(optimizer: OptimizerName) -> Self {
        Self {
            color: color(optimizer.family),
            dashed: !optimizer.fosi,
        }
    }
}

/// A polyline.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// The points from left to right.
    pub points: Vec<(f64, f64)>,
    /// The least and the greatest y at the same x for several runs; drawn as a pale band.
    pub band: Vec<(f64, f64, f64)>,
    /// The style.
    pub style: LineStyle,
}
