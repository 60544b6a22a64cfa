//! Figures as SVG and PNG.

use plotters::prelude::{BitMapBackend, FontStyle, IntoDrawingArea, SVGBackend};

use super::{FONT, Figure, PlotError};

const FONT_FILE: &[u8] = include_bytes!("../../data/font/Roboto-Regular-subset.ttf");

/// The figure as SVG.
///
/// # Errors
/// [`PlotError`].
pub fn to_svg(figure: &impl Figure) -> Result<String, PlotError> {
    register_font()?;
    let mut text = String::new();
    let area = SVGBackend::with_string(&mut text, figure.size()).into_drawing_area();
    figure.draw(&area, 1)?;
    area.present().map_err(PlotError::draw)?;
    drop(area);
    Ok(text)
}

/// The figure as PNG, with `resolution` physical pixels per nominal pixel.
///
/// # Errors
/// [`PlotError`].
pub fn to_png(figure: &impl Figure, resolution: u32) -> Result<Vec<u8>, PlotError> {
    // The backend does not antialias thick lines: draw larger and average.
    const OVERSAMPLING: u32 = 2;
    register_font()?;
    let (width, height) = figure.size();
    let scale = resolution * OVERSAMPLING;
    let mut large = vec![255u8; 3 * (width * scale) as usize * (height * scale) as usize];
    let area =
        BitMapBackend::with_buffer(&mut large, (width * scale, height * scale)).into_drawing_area();
    figure.draw(&area, scale)?;
    area.present().map_err(PlotError::draw)?;
    drop(area);

    let small = average(&large, (width * scale) as usize, OVERSAMPLING as usize);
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width * resolution, height * resolution);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_compression(png::Compression::High);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&small)?;
    writer.finish()?;
    Ok(bytes)
}

/// Averages squares of `factor`×`factor` pixels of an RGB image that is `width` pixels wide.
fn average(image: &[u8], width: usize, factor: usize) -> Vec<u8> {
    let (row, small_width) = (3 * width, width / factor);
    let mut small = Vec::with_capacity(image.len() / (factor * factor));
    let area = (factor * factor) as u32;
    for rows in image.chunks_exact(row * factor) {
        for x in 0..small_width {
            for channel in 0..3 {
                let square = rows.chunks_exact(row).flat_map(|line| {
                    (0..factor).map(move |i| u32::from(line[3 * (x * factor + i) + channel]))
                });
                small.push((square.sum::<u32>() / area) as u8);
            }
        }
    }
    small
}

/// `plotters` finds fonts by name in a table of the process; repeated registration has no effect.
fn register_font() -> Result<(), PlotError> {
    plotters::style::register_font(FONT, FontStyle::Normal, FONT_FILE).map_err(|_| PlotError::Font)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn averaging_halves_the_image() {
        let image = [0, 0, 0, 100, 100, 100, 100, 100, 100, 200, 200, 200];
        assert_eq!(average(&image, 2, 2), [100, 100, 100]);
    }
}
