//! The networks of the paper's experiments (appendix C) and a deep autoencoder, as Burn modules: one file per network.
//!
//! Each follows its input's and its own float type: a loss casts its batch to the module's type, so that the same
//! closure serves in training (f32) and on the f64 copy on which Hessian-vector products are taken.

pub mod autoencoder;
pub mod char_lstm;
pub mod deep_autoencoder;
mod init;
pub mod mobilenet;
pub mod resnet18;
pub mod weights;
