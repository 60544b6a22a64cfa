//! The networks of the paper's experiments (appendix C) and a deep autoencoder, as Burn modules: one file per network.
//!
//! Each network supports several float types: a loss casts its batch to the module's type, so that the same closure
//! serves training (f32) and the f64 copy for Hessian-vector products.

pub mod autoencoder;
pub mod char_lstm;
pub mod deep_autoencoder;
mod init;
pub mod mobilenet;
pub mod resnet18;
pub mod weights;
