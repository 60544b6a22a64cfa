//! Legends: line styles with names.

use plotters::coord::Shift;
use plotters::element::{DashedPathElement, PathElement};
use plotters::prelude::{Color, DrawingArea, DrawingBackend, IntoFont};
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::{FONT, INK, LineStyle, PlotError};

/// Draws samples of line styles with their names in one row, centred in `area`.
///
/// # Errors
/// An error of the backend.
pub fn draw_legend<B: DrawingBackend>(
    area: &DrawingArea<B, Shift>,
    entries: &[(String, LineStyle)],
    scale: u32,
) -> Result<(), PlotError> {
    let s = scale as i32;
    let font = (FONT, 15 * scale).into_font().color(&INK);
    let (sample, gap, between) = (34 * s, 8 * s, 28 * s);
    let mut widths = Vec::new();
    for (name, _) in entries {
        let (width, _) = area
            .estimate_text_size(name, &font)
            .map_err(PlotError::draw)?;
        widths.push(width as i32);
    }
    let total: i32 = widths
        .iter()
        .map(|width| sample + gap + width + between)
        .sum::<i32>()
        - between;
    let (width, height) = area.dim_in_pixel();
    let mut x = (width as i32 - total) / 2;
    let middle = height as i32 / 2;
    for ((name, style), width) in entries.iter().zip(widths) {
        let stroke = style.color.stroke_width(2 * scale);
        let points = [(x, middle), (x + sample, middle)];
        if style.dashed {
            let dashes = DashedPathElement::new(points, 7 * scale, 5 * scale, stroke);
            area.draw(&dashes).map_err(PlotError::draw)?;
        } else {
            area.draw(&PathElement::new(points, stroke))
                .map_err(PlotError::draw)?;
        }
        let at = (x + sample + gap, middle + 2 * s);
        let centred = font.clone().pos(Pos::new(HPos::Left, VPos::Center));
        area.draw_text(name, &centred, at)
            .map_err(PlotError::draw)?;
        x += sample + gap + width + between;
    }
    Ok(())
}
