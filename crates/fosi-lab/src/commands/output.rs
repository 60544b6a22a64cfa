//! Output files of reports.

use std::path::Path;

use super::CommandError;
use crate::plot::{Figure, to_png, to_svg};
use crate::runs::{RunError, check_writable, replace_file};

/// Physical pixels per nominal pixel of a PNG.
const PNG_RESOLUTION: u32 = 2;

/// Creates a folder for the files of a report.
pub(super) fn make_folder(folder: &Path) -> Result<(), RunError> {
    check_writable(folder)?;
    std::fs::create_dir_all(folder).map_err(|source| RunError::Write {
        path: folder.to_owned(),
        source,
    })
}

/// Writes a figure as SVG and PNG.
pub(super) fn write_figure(
    folder: &Path,
    name: &str,
    figure: &impl Figure,
) -> Result<(), CommandError> {
    let svg = to_svg(figure)?;
    replace_file(&folder.join(format!("{name}.svg")), svg.as_bytes())?;
    let png = to_png(figure, PNG_RESOLUTION)?;
    replace_file(&folder.join(format!("{name}.png")), &png)?;
    Ok(())
}
