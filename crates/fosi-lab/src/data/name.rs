//! The names of the data sets.

use crate::names::named;

named! {
    "data set",
    /// The program's data sets.
    pub enum DataName {
        /// The embedded UCI digits: 1,437 training and 360 validation images of 8×8.
        Digits,
        /// MNIST from a folder: 60,000 training images of 28×28; the 10,000 test images are for validation.
        Mnist,
        /// CIFAR-10 from a folder: 50,000 training images of 32×32 in colour, 5,000 of them for validation.
        Cifar10,
        /// A text, such as Tiny Shakespeare; its last tenth is for validation.
        Tinyshakespeare,
        /// The Free Spoken Digit Dataset; recordings 0 to 4 of each digit and speaker are for validation.
        Fsdd,
        /// AudioSet, or any sounds with its layout.
        Audioset,
    }
}

impl DataName {
    /// Whether the images are grey; the autoencoder of grey images is dense and deep, that of colour images
    /// convolutional.
    pub fn is_grey(self) -> bool {
        matches!(self, Self::Digits | Self::Mnist)
    }
}
