//! The spectrum of the loss's Hessian at the start of a training run, at its checkpoints and at its end.

mod error;
mod picture;
mod places;
mod report;
mod survey;

pub use error::SpectrumError;
pub use picture::{densities, eigenvalues};
pub use places::{Located, Place, Places, places};
pub use report::{density_csv, eigenvalues_csv, spectrum_csv, table};
pub use survey::{Measured, Survey};
