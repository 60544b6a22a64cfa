//! The names of the data sets.

use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, VariantNames};

use crate::names::UnknownName;

/// The data sets that the program knows.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Display, EnumString, VariantNames, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case", parse_err_ty = UnknownName, parse_err_fn = unknown)]
pub enum DataName {
    /// The embedded UCI digits: 1,437 training and 360 validation images of 8×8.
    Digits,
    /// MNIST from a folder: 60,000 training images of 28×28; the 10,000 test images validate.
    Mnist,
    /// CIFAR-10 from a folder: of its 50,000 training images of 32×32 in colour 5,000 validate.
    Cifar10,
    /// A text, such as Tiny Shakespeare: its last tenth validates.
    Tinyshakespeare,
    /// The Free Spoken Digit Dataset: recordings 0 to 4 of each digit and speaker validate.
    Fsdd,
    /// AudioSet, or any sounds in its layout.
    Audioset,
}

fn unknown(name: &str) -> UnknownName {
    UnknownName::new("data set", name, DataName::VARIANTS)
}
