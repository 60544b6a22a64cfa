#![doc = include_str!("../README.md")]

mod product;
mod solver;

pub use product::{Exact, HessianProduct, Products, Quotients};
pub use solver::SpectralLbfgs;
