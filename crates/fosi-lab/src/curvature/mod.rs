//! How much of the loss's curvature the estimates capture along one training run.

mod error;
mod path;
mod report;

pub use error::CurvatureError;
pub use path::{Path, Row};
pub use report::{csv, picture, table};
