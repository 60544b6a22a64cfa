//! Colour images as bytes, with one class each: CIFAR-10's binary version and class folders.

mod cifar10;
mod colour;
mod decode;
mod error;
mod folders;
mod set;

pub use cifar10::{CIFAR10_CLASSES, CifarFiles, read_cifar10_file};
pub use colour::{ColourCounts, ColourImages, ColourSplit, colour_images};
pub use error::ImagesError;
pub use folders::class_folders;
pub use set::{ImageSplit, Images};
