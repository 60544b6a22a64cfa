//! The names of the data sets.

use crate::names::named;

named! {
    "data set",
    /// The data sets that the program knows.
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
}

impl DataName {
    /// Whether it is of grey images, whose autoencoder is the deep dense one; that of colour images is convolutional.
    pub fn is_grey(self) -> bool {
        matches!(self, Self::Digits | Self::Mnist)
    }
}
