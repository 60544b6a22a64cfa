//! A chart as inline SVG: panels stacked over one horizontal axis.

use askama::Template;

use super::signed_axis::SignedAxis;
use crate::plot::{Axis, tick_label};

/// The width of the picture.
pub(super) const WIDTH: f64 = 560.0;
/// The space on the left for tick labels, also in a phone's font size.
const LEFT: f64 = 66.0;
const RIGHT: f64 = 16.0;
/// The space below for the horizontal axis.
const BELOW: f64 = 46.0;
/// The space above a panel.
const ABOVE: f64 = 12.0;

/// An axis of any kind.
pub(super) enum Scale {
    Plain(Axis),
    Signed(SignedAxis),
}

impl Scale {
    /// The position of a value, from 0 to 1; values far outside are clamped to −2 or 3.
    fn position(&self, value: f64) -> f64 {
        let position = match self {
            Self::Plain(axis) => axis.position(value),
            Self::Signed(axis) => axis.position(value),
        };
        position.clamp(-2.0, 3.0)
    }

    fn ticks(&self, most: usize) -> Vec<f64> {
        match self {
            Self::Plain(axis) => axis.ticks(most),
            Self::Signed(axis) => axis.ticks(most),
        }
    }
}

/// A line with its band, before the layout.
pub(super) struct Stroke {
    /// The classes of line and band.
    pub(super) classes: String,
    /// The points from left to right.
    pub(super) points: Vec<(f64, f64)>,
    /// The least and the greatest values at the same places; empty without a band.
    pub(super) band: Vec<(f64, f64, f64)>,
    /// Whether each point has a dot.
    pub(super) dots: bool,
    /// The number of its line among the page's readings, and which of its values they are.
    pub(super) reading: Option<(usize, usize)>,
}

/// A panel before the layout.
pub(super) struct Panel {
    pub(super) y: Scale,
    pub(super) height: f64,
    /// The maximum number of ticks on the vertical axis.
    pub(super) ticks: usize,
    /// The title above the panel; may be empty.
    pub(super) title: &'static str,
    pub(super) strokes: Vec<Stroke>,
    /// Places on the horizontal axis with a cross, and the reasons.
    pub(super) crosses: Vec<(f64, String)>,
}

/// A chart after the layout.
#[derive(Template)]
#[template(path = "chart.html")]
pub(super) struct Chart {
    /// The classes, which determine the choices of axes that show it.
    classes: String,
    /// A description for screen readers.
    label: String,
    /// The index of the readings' horizontal axis that it uses.
    x_index: usize,
    x_label: &'static str,
    x_ticks: Vec<Tick>,
    panels: Vec<Laid>,
    height: f64,
}

struct Tick {
    at: f64,
    label: String,
    /// Whether the tick is hidden on narrow screens.
    spare: bool,
}

struct Laid {
    top: f64,
    height: f64,
    title: &'static str,
    ticks: Vec<Tick>,
    bands: Vec<Path>,
    lines: Vec<Path>,
    crosses: Vec<Cross>,
}

struct Path {
    classes: String,
    d: String,
    reading: Option<(usize, usize)>,
}

struct Cross {
    at: f64,
    reason: String,
}

impl Chart {
    /// The width of a panel.
    const INNER: f64 = WIDTH - LEFT - RIGHT;
    const WIDTH: f64 = WIDTH;
    const LEFT: f64 = LEFT;

    /// Lays panels out over the horizontal axis `x`.
    pub(super) fn new(
        (classes, label): (String, String),
        (x_index, x_label, x): (usize, &'static str, Axis),
        panels: Vec<Panel>,
    ) -> Self {
        let x = Scale::Plain(x);
        let mut top = 0.0;
        let mut laid = Vec::new();
        for panel in panels {
            top += ABOVE + if panel.title.is_empty() { 0.0 } else { 22.0 };
            let height = panel.height;
            laid.push(Laid::new(panel, top, &x));
            top += height;
        }
        let place = |value: f64| LEFT + Self::INNER * x.position(value);
        Self {
            classes,
            label,
            x_index,
            x_label,
            x_ticks: ticks(&x, 7, place),
            panels: laid,
            height: top + BELOW,
        }
    }

    /// The lower edge of the lowest panel.
    fn bottom(&self) -> f64 {
        self.height - BELOW
    }
}

impl Laid {
    fn new(panel: Panel, top: f64, x: &Scale) -> Self {
        let across = |value: f64| Chart::INNER * x.position(value);
        let down = |value: f64| panel.height * (1.0 - panel.y.position(value));
        let mut bands = Vec::new();
        let mut lines = Vec::new();
        for stroke in panel.strokes {
            let points = |ends: &dyn Fn(&(f64, f64, f64)) -> f64| -> Vec<(f64, f64)> {
                let place = |point: &(f64, f64, f64)| (across(point.0), down(ends(point)));
                stroke.band.iter().map(place).collect()
            };
            let mut outline = points(&|point| point.2);
            outline.extend(points(&|point| point.1).into_iter().rev());
            if outline.len() > 2 {
                bands.push(Path {
                    classes: stroke.classes.clone(),
                    d: path(&outline) + "Z",
                    reading: None,
                });
            }
            let place = |&(x, y): &(f64, f64)| (across(x), down(y));
            let mut points: Vec<(f64, f64)> = stroke.points.iter().map(place).collect();
            if stroke.dots {
                let dots = points.iter().map(|point| path(&[*point]) + "h0");
                lines.push(Path {
                    classes: format!("dots {}", stroke.classes),
                    d: dots.collect(),
                    reading: None,
                });
            }
            // A line of zero length has round caps at both ends: a dot.
            if let [only] = points.as_slice() {
                points.push(*only);
            }
            lines.push(Path {
                classes: stroke.classes,
                d: path(&points),
                reading: stroke.reading,
            });
        }
        let crosses = panel.crosses.into_iter().map(|(x, reason)| Cross {
            at: across(x),
            reason,
        });
        Self {
            top,
            height: panel.height,
            title: panel.title,
            ticks: ticks(&panel.y, panel.ticks, |value| top + down(value)),
            bands,
            lines,
            crosses: crosses.collect(),
        }
    }
}

fn ticks(scale: &Scale, most: usize, place: impl Fn(f64) -> f64) -> Vec<Tick> {
    let values = scale.ticks(most);
    let many = values.len() > 4;
    let tick = |(index, value): (usize, f64)| Tick {
        at: (10.0 * place(value)).round() / 10.0,
        label: tick_label(value),
        spare: many && index % 2 == 1,
    };
    values.into_iter().enumerate().map(tick).collect()
}

/// A polyline as path data, to a tenth of a unit.
fn path(points: &[(f64, f64)]) -> String {
    let mut data = String::new();
    for (index, (x, y)) in points.iter().enumerate() {
        data.push(if index == 0 { 'M' } else { 'L' });
        data.push_str(&tenth(*x));
        data.push(',');
        data.push_str(&tenth(*y));
    }
    data
}

fn tenth(value: f64) -> String {
    ((10.0 * value).round() / 10.0).to_string()
}
