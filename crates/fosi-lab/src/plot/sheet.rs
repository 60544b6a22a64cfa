//! A figure with several panels under one legend.

use plotters::coord::Shift;
use plotters::prelude::{DrawingArea, DrawingBackend, IntoFont};
use plotters::style::WHITE;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::{ColorScale, FONT, Figure, HeatMap, INK, LineStyle, Panel, PlotError, draw_legend};

/// One cell of a sheet.
#[derive(Clone, Debug)]
pub enum Cell {
    /// A panel with lines.
    Panel(Panel),
    /// A heat map.
    HeatMap(HeatMap),
}

/// Panels and heat maps in rows, below a title and a legend.
#[derive(Clone, Debug)]
pub struct Sheet {
    /// The title.
    pub title: String,
    /// The names of the lines; without a legend if empty.
    pub legend: Vec<(String, LineStyle)>,
    /// The cells, row by row.
    pub cells: Vec<Cell>,
    /// The number of cells per row.
    pub columns: usize,
    /// The nominal width and height of a cell.
    pub cell: (u32, u32),
    /// The colour scale of the heat maps, drawn on the right with a label.
    pub bar: Option<(ColorScale, String)>,
}

const TITLE: u32 = 40;
/// The height of a row of the legend.
const LEGEND: u32 = 34;
/// The width of a legend entry without its name; below, the approximate width of a character.
const ENTRY: u32 = 70;
const CHARACTER: u32 = 8;
const BAR: u32 = 110;

impl Sheet {
    fn rows(&self) -> usize {
        self.cells.len().div_ceil(self.columns.max(1))
    }

    /// The rows of the legend, each at most about as wide as the sheet.
    fn legend_rows(&self) -> Vec<&[(String, LineStyle)]> {
        let room = self.columns as u32 * self.cell.0;
        let mut rows = Vec::new();
        let mut rest = self.legend.as_slice();
        while !rest.is_empty() {
            let mut width = 0;
            let fits = |(name, _): &&(String, LineStyle)| {
                width += ENTRY + CHARACTER * name.chars().count() as u32;
                width <= room
            };
            let count = rest.iter().take_while(fits).count().max(1);
            let (row, others) = rest.split_at(count);
            rows.push(row);
            rest = others;
        }
        rows
    }

    fn legend_height(&self) -> u32 {
        LEGEND * self.legend_rows().len() as u32
    }
}

impl Figure for Sheet {
    fn size(&self) -> (u32, u32) {
        let bar = if self.bar.is_some() { BAR } else { 0 };
        (
            self.columns as u32 * self.cell.0 + bar,
            TITLE + self.legend_height() + self.rows() as u32 * self.cell.1,
        )
    }

    fn draw<B: DrawingBackend>(
        &self,
        area: &DrawingArea<B, Shift>,
        scale: u32,
    ) -> Result<(), PlotError> {
        area.fill(&WHITE).map_err(PlotError::draw)?;
        let (title, rest) = area.split_vertically(TITLE * scale);
        let (legend, body) = rest.split_vertically(self.legend_height() * scale);
        let centred = Pos::new(HPos::Center, VPos::Center);
        let font = (FONT, 20 * scale).into_font().color(&INK).pos(centred);
        let (width, _) = self.size();
        let middle = ((width * scale / 2) as i32, (TITLE * scale / 2) as i32);
        title
            .draw_text(&self.title, &font, middle)
            .map_err(PlotError::draw)?;
        let rows = self.legend_rows();
        for (row, area) in rows.iter().zip(legend.split_evenly((rows.len(), 1))) {
            draw_legend(&area, row, scale)?;
        }
        let cells_width = self.columns as u32 * self.cell.0 * scale;
        let (cells, right) = body.split_horizontally(cells_width);
        if let Some((colors, label)) = &self.bar {
            colors.draw(&right, label, scale)?;
        }
        let areas = cells.split_evenly((self.rows(), self.columns));
        for (cell, area) in self.cells.iter().zip(areas) {
            match cell {
                Cell::Panel(panel) => panel.draw(&area, scale)?,
                Cell::HeatMap(map) => map.draw(&area, scale)?,
            }
        }
        Ok(())
    }
}
